import Invalidation

/// The publication as its catalogue rows tell of it: what it carries, and how often each way into it was made.
struct ModelPublication {
  private var takenOut: [Table] = []
  /// A partition of them is unlogged: nothing of it is streamed, and the publication looks as ever.
  private var unlogged: [Table] = []
  private var versions = Table.allCases.map { _ in 1 }
  /// When a table was put back last.
  private(set) var mendedAt: Int64?

  var isWhole: Bool { takenOut.isEmpty && unlogged.isEmpty }

  func carries(_ table: Table) -> Bool { table.isPublished && !(takenOut + unlogged).contains(table) }

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

  mutating func makeUnlogged(_ table: Table) { unlogged.append(table) }

  mutating func makeLogged(_ table: Table, at time: Int64) {
    unlogged.removeAll { $0 == table }
    mendedAt = time
  }

  /// What the daemon's look at the catalogue finds.
  func identities(seen: Bool) -> [TableName: String] {
    let ruled: [Table] = [.users, .orders]
    return Dictionary(
      uniqueKeysWithValues: ruled.map { table in
        let present = takenOut.contains(table) ? "none" : "v\(versions[table.rawValue])"
        return (TableName(schema: "public", name: table.name), seen ? present : "v1")
      })
  }

  func unpublished(seen: Bool) -> Set<TableName> {
    seen ? Set((takenOut + unlogged).map { TableName(schema: "public", name: $0.name) }) : []
  }
}
