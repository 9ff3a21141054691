/// Other rules while the stream flows (SIGHUP). A transaction is judged by one set of rules, so they change between two.
///
/// The watermark names the set of rules, and its open flushes: both change in the same call, so that each watermark in
/// Redis stands for one set, and a start with either file finds what differs. A rule that is new, or gives other keys than
/// before, is a gap of its own (contract 4). The stream goes on where it is; only the catalogue is asked again, and until
/// it has answered nothing more is claimed.
extension Engine {
  mutating func replaceRules(_ rules: RuleSet) {
    if case .draining = source.phase { return }
    replacement = rules
    if stream.transaction == nil { takeReplacement() }
  }

  mutating func takeReplacement() {
    guard let rules = replacement else { return }
    replacement = nil
    let mapping = RuleMapping(from: configuration.rules, to: rules.rules)
    setRules(rules)
    follow(mapping)
    let compared = conditionsCompared(mapping)
    emit(.rulesReplaced)
    noticeReplacement(mapping)
    if continuity != nil, !compared.isEmpty { openGap(.tableChanged, rules: compared) }
    rebind()
    beginFlushIfNeeded()
    switch source.phase {
    case .streaming: lookAgain()
    // What is being learned belongs to the rules of before.
    case .connecting, .judging, .starting: restartSource(after: 0)
    case .down, .draining, .ended: break
    }
  }

  /// Everything that knows a rule by its place gets the new one.
  private mutating func follow(_ mapping: RuleMapping) {
    statistics.count(configuration.rules, in: mapping)
    history.replaceRules(configuration.rules)
    barrier.replaceRules(mapping)
    secondDeletes.replaceRules(configuration.rules, mapping)
    for target in targets.indices { targets[target].replaceRules(mapping) }
    bareTables = mapping.move(bareTables)
    missingColumns = mapping.move(missingColumns)
    stream.outbox.unruled = []
    // What was told once may be told of the new rules as well.
    stream.reported = []
  }

  /// Where a table belongs is known, and to ask the catalogue anew would wait for transactions that hang. Only a look tells
  /// what is below a table that is new among the rules; what it does until then is covered by the flush of its rules.
  mutating func rebind() {
    // Rows of an outbox name their tables, and nobody is asked.
    guard configuration.mode != .notify else { return forgetPlaces() }
    for index in stream.relations.indices where stream.misplaced[index] == nil {
      let bound = stream.relations[index]
      let tables = bound.tables.union([bound.relation.table]).intersection(statistics.tables)
      if tables.isEmpty {
        keep(BoundRelation(bound.relation, tables: [bound.relation.table], rules: []), table: -1)
      } else {
        // Other rules are no DDL.
        stream.known[bound.relation.table]?.tables = tables
        bind(bound.relation, as: tables)
      }
    }
  }

  private mutating func noticeReplacement(_ mapping: RuleMapping) {
    let tables = Set(configuration.rules.compactMap(\.table))
    let present = RuleSetFingerprint(
      configuration.rules, publication: publication, unseen: tables.subtracting(lookedAt))
    let differences = present.differences(from: fingerprint)
    let isNews = present != fingerprint
    fingerprint = present
    flushes.replaceRules(mapping, fingerprint: fingerprint.rules)
    flushes.block(Set(rules(of: source.unpublished)))
    reportReplacement(mapping)
    // Without it the watermarks that are found will tell what differs.
    guard continuity != nil, isNews else { return }
    for gap in gaps(differences) { openGap(gap.reason, rules: gap.rules) }
    guard source.phase != .ended else { return }
    writeRuleSet()
  }

  private mutating func reportReplacement(_ mapping: RuleMapping) {
    let kept = Set(mapping.places.compactMap(\.self)).count
    let gone = mapping.places.count { $0 == nil }
    report(
      .notice, "rules_replaced",
      "the rules were replaced: \(kept) as before, \(configuration.rules.count - kept) new or changed, \(gone) gone"
    )
  }

  private mutating func lookAgain() {
    queries.tell(QueryState.ToldChange(xid: nil, position: stream.received))
    queries.isSnapshotNeeded = true
    if case .down = queries.link { return }
    flushes.questionLost()
    reconnectQuery()
  }
}
