import Invalidation

/// The publication as its catalogue rows tell of it: what it carries, and how often each way into it was made.
struct ModelPublication {
  private var takenOut: [Table] = []
  private var versions = Table.allCases.map { _ in 1 }
  /// When a table was put back last.
  private(set) var mendedAt: Int64?

  var isWhole: Bool { takenOut.isEmpty }

  func carries(_ table: Table) -> Bool { table.isPublished && !takenOut.contains(table) }

  /// ALTER PUBLICATION ... DROP TABLE.
  mutating func takeOut(_ table: Table) {
    if carries(table) { takenOut.append(table) }
  }

  /// ALTER PUBLICATION ... ADD TABLE, at `time`.
  mutating func putBack(_ table: Table, at time: Int64) {
    guard takenOut.contains(table) else { return }
    takenOut.removeAll { $0 == table }
    versions[table.rawValue] += 1
    mendedAt = time
  }

  /// What the daemon's look at the catalogue finds; nil while ruled tables are missing.
  func identities(seen: Bool) -> [TableName: String]? {
    guard takenOut.isEmpty else { return nil }
    let ruled: [Table] = [.users, .orders]
    return Dictionary(
      uniqueKeysWithValues: ruled.map { table in
        (TableName(schema: "public", name: table.name), seen ? "v\(versions[table.rawValue])" : "v1")
      })
  }
}
