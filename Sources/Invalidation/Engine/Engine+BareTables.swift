/// A ruled table, or a partition of one, whose replica identity lacks a column that a rule reads. Mostly the stream tells
/// by itself; but where the publication sends changes under the root's name (`publish_via_partition_root`), a partition's
/// old rows come with NULL in place of that column.
struct BareTable: Sendable {
  var name: String
  /// The WAL's end when it was found to be mended; nil until then.
  var mendedAt: LSN?
}

/// Replica identities as a look at the catalogue finds them. A partition does not inherit its root's.
extension Engine {
  /// Changes that came since the last look may have lacked a column, so a table that is new here is a gap; until the
  /// stream is past its mending, old rows of the rule's table are mistrusted.
  mutating func noticeBareTables(_ facts: SourceFacts) {
    for index in stream.relations.indices { stream.relations[index].isLookedAt = true }
    var found: [Int] = []
    for (rule, name) in facts.bareTables.sorted(by: { $0.key < $1.key }) {
      let known = bareTables.updateValue(BareTable(name: name), forKey: rule)
      guard known == nil || known?.mendedAt != nil else { continue }
      found.append(rule)
      report(
        .error, "rule_problem", bareTableProblem(rule, name), rule: configuration.rules[rule].name)
    }
    for (rule, table) in bareTables where table.mendedAt == nil && facts.bareTables[rule] == nil {
      bareTables[rule]?.mendedAt = facts.insertLSN
    }
    if !found.isEmpty { openGap(.incompleteRow, rules: found) }
  }

  /// Whether old rows of the present transaction may lack what the rule reads. One that was mended is not forgotten:
  /// Redis may lose the flushes, and then its changes come again.
  func mistrustsOldRows(of rule: Int, in relation: BoundRelation) -> Bool {
    // A partition under its own name says which columns it carries, and each row of wal2json does.
    guard configuration.mode == .pgoutput, let table = bareTables[rule],
      configuration.rules[rule].table == relation.relation.table
    else {
      return false
    }
    guard let end = table.mendedAt else { return true }
    return (stream.transaction?.position ?? stream.received) <= end
  }

  /// Whether there is such a table now.
  var hasBareTable: Bool { bareTables.contains { $1.mendedAt == nil } }

  func bareTableProblem(_ rule: Int, _ name: String) -> String {
    "rule \(configuration.rules[rule].name): old rows of \(name) do not carry every column that it"
      + " reads; run: ALTER TABLE \(name) REPLICA IDENTITY FULL (until then updates and deletes may flush the rule's"
      + " pattern)"
  }
}
