/// A partition whose replica identity lacks a column that a rule reads. The stream describes it by its root, so that
/// its old rows come with NULL in place of that column, and nothing tells (postgres.md, "Row images").
struct BarePartition: Sendable {
  var name: String
  /// The WAL's end when it was found to be mended; nil until then.
  var mendedAt: LSN?
}

/// Partitions that did not inherit their root's replica identity: seen by looking at the catalogue.
extension Engine {
  /// A look at the catalogue. Changes that came since the last one may have lacked a column, so a partition that is new
  /// here is a gap; until the stream is past its mending, old rows of the rule's table are mistrusted.
  mutating func noticePartitions(_ facts: SourceFacts) {
    var found: [Int] = []
    for (rule, name) in facts.barePartitions.sorted(by: { $0.key < $1.key }) {
      let known = barePartitions.updateValue(BarePartition(name: name), forKey: rule)
      guard known == nil || known?.mendedAt != nil else { continue }
      found.append(rule)
      report(
        .error, "rule_problem", barePartitionProblem(rule, name), rule: configuration.rules[rule].name)
    }
    for (rule, partition) in barePartitions
    where partition.mendedAt == nil && facts.barePartitions[rule] == nil {
      barePartitions[rule]?.mendedAt = facts.insertLSN
    }
    if !found.isEmpty { openGap(.incompleteRow, rules: found) }
  }

  /// Whether old rows of the present transaction may lack what the rule reads. One that was mended is not forgotten:
  /// Redis may lose the flushes, and then its changes come again.
  func mistrustsOldRows(of rule: Int) -> Bool {
    guard let partition = barePartitions[rule] else { return false }
    guard let end = partition.mendedAt else { return true }
    return (stream.transaction?.position ?? stream.received) <= end
  }

  /// Whether some rule's table has such a partition now.
  var hasBarePartition: Bool { barePartitions.contains { $1.mendedAt == nil } }

  func barePartitionProblem(_ rule: Int, _ name: String) -> String {
    "rule \(configuration.rules[rule].name): old rows of the partition \(name) do not carry every column that it"
      + " reads; run: ALTER TABLE \(name) REPLICA IDENTITY FULL (until then updates and deletes may flush the rule's"
      + " pattern)"
  }
}
