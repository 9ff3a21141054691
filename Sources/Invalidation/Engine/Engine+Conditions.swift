/// The rules with a `where`, and whether its values still compare with what PostgreSQL prints.
struct ConditionState: Sendable {
  /// By rule, `SourceFacts.conditionTypes` at the last look at the catalogue.
  var types: [Int: String] = [:]
  /// The types are not those for which the values were compared with what PostgreSQL prints.
  var doubtful: Set<Int> = []
  /// DDL was told of that no look has seen.
  var unseen: Set<Int> = []

  /// The rules whose `where` counts as met.
  var countedAsMet: Set<Int> { unseen.isEmpty ? doubtful : doubtful.union(unseen) }
}

/// DDL that changes how a column prints: a `where` that names '1.5' never holds for a numeric(10,2), which prints 1.50, and
/// every key of its rule would stay. The values are compared when cdcd starts and when its rules are read again; where the
/// types have changed since, the condition counts as met, so that too much is deleted and nothing too little.
extension Engine {
  /// DDL was told of: what follows may print otherwise.
  mutating func conditionsMayDiffer(_ rules: [Int]) {
    conditions.unseen.formUnion(rules.filter { !configuration.rules[$0].conditions.isEmpty })
  }

  /// Where nobody told of the DDL, changes that came since may have been taken for those that the rule does not concern,
  /// so it is a gap.
  mutating func noticeConditionTypes(_ facts: SourceFacts) {
    let before = conditions.countedAsMet
    if !queries.isLookWanted { conditions.unseen = [] }
    var found: [Int] = []
    for (rule, types) in facts.conditionTypes.sorted(by: { $0.key < $1.key }) {
      guard let known = conditions.types.updateValue(types, forKey: rule), known != types else { continue }
      conditions.doubtful.insert(rule)
      found.append(rule)
      report(
        .warning, "condition_doubtful", conditionProblem(rule), rule: configuration.rules[rule].name)
    }
    if conditions.countedAsMet != before { rebind() }
    if !found.isEmpty { openGap(.tableChanged, rules: found) }
  }

  /// The values have been compared anew. What the stream still brings may be printed as it was in between, which nobody
  /// has looked at. Answers the rules that a flush has to cover for that.
  mutating func conditionsCompared(_ mapping: RuleMapping) -> [Int] {
    conditions.types = mapping.move(conditions.types)
    conditions.unseen = Set(conditions.unseen.compactMap { mapping($0) })
    let compared = conditions.doubtful.compactMap { mapping($0) }
    conditions.doubtful = []
    return compared.sorted()
  }

  func conditionProblem(_ rule: Int) -> String {
    "rule \(configuration.rules[rule].name): the type of a column that its `where` tests has changed, and until the values"
      + " have been compared with what PostgreSQL prints now the `where` counts as met: run `cdcd check`, mend the rule where"
      + " it says so, and reload cdcd (systemctl reload cdcd)"
  }
}
