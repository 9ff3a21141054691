/// The rules of one table, and of those that it is a partition of, with every column resolved to its index: made once for
/// each Relation message, so that no name is looked up for a row.
package struct BoundRelation: Sendable {
  package let relation: Relation
  /// The tables that the rules name.
  package let tables: Set<TableName>
  /// The rules that name this table, in the order of the file.
  package let rules: [BoundRule]
  /// Which of them a change may concern; nil where there are few, or all are asked anyway.
  let conditionIndex: ConditionIndex?
  /// The catalogue was looked at since.
  var isLookedAt = false

  /// `moving` are the tables whose rows may move to another partition.
  package init(
    _ relation: Relation, tables: Set<TableName>? = nil, moving: Set<TableName> = [], rules: [Rule]
  ) {
    let tables = tables ?? [relation.table]
    self.init(
      relation, tables: tables, moving: moving, rules: rules,
      at: rules.indices.filter { rules[$0].concerns(tables) })
  }

  /// `places` are those of the rules that concern `tables`; the `where` of those in `metRules` counts as met.
  init(
    _ relation: Relation, tables: Set<TableName>, moving: Set<TableName>, rules: [Rule], at places: [Int],
    countingAsMet metRules: Set<Int> = []
  ) {
    self.relation = relation
    self.tables = tables
    self.rules = places.map { place in
      let rule = rules[place]
      let moves = rule.table != relation.table || rule.concerns(moving)
      return BoundRule(
        rule, index: place, relation: relation, rowsMove: moves, isMet: metRules.contains(place))
    }
    conditionIndex = ConditionIndex(self.rules)
  }
}

/// One rule, bound to the columns of a relation: an object, since every change asks for its rules, and a copy of all that is
/// here would cost more than the rest.
package final class BoundRule: Sendable {
  enum Segment: Sendable {
    /// Where it lies in `literals`.
    case literal(Range<Int>)
    case column(Int)
    /// The place of the functions in `functions`.
    case mapped(Int, functions: Int)
  }

  struct Condition: Sendable {
    var column: Int
    var texts: [[UInt8]]
    var allowsNull: Bool
  }

  /// Where the rule stands in the file, from 0.
  package let index: Int
  package let operations: Operations
  /// Why the rule cannot derive every key from this relation's row images, with the statement that mends it;
  /// nil when it can. Changes that it cannot follow flush the rule's patterns.
  package let problem: String?
  /// The problem is the replica identity, at which a look at the catalogue tells the present state.
  let isProblemOfIdentity: Bool
  let isBound: Bool
  /// Every column that the rule reads; empty when one is missing.
  let columns: [Int]
  let coversOldRows: Bool
  /// Every old image is a whole row.
  let carriesWholeRows: Bool
  let templates: [[Segment]]
  let literals: [UInt8]
  let functions: [[KeyFunction]]
  let whenChanged: [Int]
  let conditions: [Condition]

  /// With `rowsMove` an update may come as the delete from one partition and the insert into another. With `isMet` the
  /// `where` holds for every row.
  init(_ rule: Rule, index: Int, relation: Relation, rowsMove: Bool = false, isMet: Bool = false) {
    let names = rule.columns
    // A rule reads a few of perhaps many columns.
    var positions: [String: Int] = [:]
    for name in names { positions[name] = relation.columns.firstIndex { $0.name == name } }
    let missing = names.filter { positions[$0] == nil }
    let covered = missing.isEmpty && positions.values.allSatisfy { relation.covers($0) }
    let needsOldRows = !rule.operations.isDisjoint(with: [.update, .delete])
    self.index = index
    self.operations =
      rowsMove && rule.operations.contains(.update)
      ? rule.operations.union([.insert, .delete]) : rule.operations
    self.isBound = missing.isEmpty
    self.coversOldRows = covered
    self.carriesWholeRows = relation.replicaIdentity == .full
    if !missing.isEmpty {
      self.problem = BoundRule.missingColumns(missing, rule, relation)
      self.isProblemOfIdentity = false
    } else if needsOldRows && !covered {
      self.problem = BoundRule.uncovered(rule, relation, positions)
      self.isProblemOfIdentity = true
    } else {
      self.problem = nil
      self.isProblemOfIdentity = false
    }
    guard isBound else {
      self.columns = []
      self.templates = []
      self.literals = []
      self.functions = []
      self.whenChanged = []
      self.conditions = []
      return
    }
    self.columns = names.compactMap { positions[$0] }
    var literals: [UInt8] = []
    var functions: [[KeyFunction]] = []
    self.templates = rule.templates.map { template in
      template.segments.map { BoundRule.bind($0, positions, &literals, &functions) }
    }
    self.literals = literals
    self.functions = functions
    self.whenChanged = rule.whenChanged.compactMap { positions[$0] }
    self.conditions = (isMet ? [] : rule.conditions).compactMap { condition in
      positions[condition.column].map { column in
        Condition(
          column: column, texts: condition.values.compactMap { $0.map { Array($0.utf8) } },
          allowsNull: condition.values.contains(nil))
      }
    }
  }

  private static func bind(
    _ segment: KeyTemplate.Segment, _ positions: [String: Int], _ literals: inout [UInt8],
    _ functions: inout [[KeyFunction]]
  ) -> Segment {
    switch segment {
    case .literal(let bytes):
      literals += bytes
      return .literal(literals.count - bytes.count..<literals.count)
    case .column(let name, let chain):
      // Every column was found before: -1 is never read, and reads as a missing column if it were.
      let column = positions[name] ?? -1
      if chain.isEmpty { return .column(column) }
      functions.append(chain)
      return .mapped(column, functions: functions.count - 1)
    }
  }

  private static func missingColumns(_ missing: [String], _ rule: Rule, _ relation: Relation) -> String {
    let names = missing.map { "\"" + $0 + "\"" }.joined(separator: ", ")
    return "rule \(rule.name): table \(relation.table) has no column \(names); "
      + "mend the rule, or publish the column"
  }

  private static func uncovered(
    _ rule: Rule, _ relation: Relation, _ positions: [String: Int]
  ) -> String {
    let names = rule.columns.filter { name in
      positions[name].map { !relation.covers($0) } ?? false
    }
    return "rule \(rule.name): old row images of \(relation.table) do not carry "
      + names.map { "\"" + $0 + "\"" }.joined(separator: ", ")
      + "; run: ALTER TABLE \(relation.table.quoted) REPLICA IDENTITY FULL"
  }
}

extension Relation {
  /// The columns that the rules of `tables` read, for where no server describes them. What a row lacks is known row by row,
  /// so every column counts as part of the replica identity.
  static func columns(read rules: [Rule], of tables: Set<TableName>) -> [Column] {
    var names: [String] = []
    for rule in rules where rule.concerns(tables) {
      names += rule.columns.filter { !names.contains($0) }
    }
    return names.map { Column(name: $0, isKey: true) }
  }

  /// Whether old row images carry the column (PostgreSQL manual, ALTER TABLE, REPLICA IDENTITY).
  func covers(_ column: Int) -> Bool {
    replicaIdentity == .full || (replicaIdentity != .nothing && columns[column].isKey)
  }
}

extension TableName {
  /// The name as SQL takes it, always quoted.
  package var quoted: String {
    [schema, name].map { part in
      // Scalars, since a quote and a combining mark after it are one Character.
      let doubled = part.unicodeScalars.flatMap { $0 == "\"" ? ["\"", "\""] : [$0] }
      return "\"" + String(String.UnicodeScalarView(doubled)) + "\""
    }.joined(separator: ".")
  }
}
