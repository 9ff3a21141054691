package import Invalidation

/// Which changes `cdcd tail` shows.
package struct TailFilter: Sendable, Equatable {
  /// The name of a rule: the changes of its table, and what it makes of them.
  package var rule: String?
  /// The changes of this table, or of its partitions.
  package var table: TableName?

  package init(rule: String? = nil, table: TableName? = nil) {
    self.rule = rule
    self.table = table
  }

  func wants(_ change: StreamedChange, _ rules: [Rule]) -> Bool {
    if let rule, !change.verdicts.contains(where: { rules[$0.rule].name == rule }) { return false }
    guard let table else { return true }
    guard let changed = change.table else { return change.kind != .message }
    return changed == table || change.ruledTables.contains(table)
  }
}
