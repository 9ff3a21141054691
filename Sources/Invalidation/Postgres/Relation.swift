/// A table as a Relation message describes it: valid until the next one with the same identifier.
package struct Relation: Sendable, Equatable {
  package enum ReplicaIdentity: UInt8, Sendable {
    case primaryKey = 0x64  // d
    case nothing = 0x6E  // n
    case full = 0x66  // f
    case index = 0x69  // i
  }

  package struct Column: Sendable, Equatable {
    package var name: String
    /// Part of the replica identity, so that old row images carry it.
    package var isKey: Bool

    package init(name: String, isKey: Bool) {
      self.name = name
      self.isKey = isKey
    }
  }

  package var identifier: UInt32
  package var table: TableName
  package var replicaIdentity: ReplicaIdentity
  package var columns: [Column]

  package init(
    identifier: UInt32, table: TableName, replicaIdentity: ReplicaIdentity, columns: [Column]
  ) {
    self.identifier = identifier
    self.table = table
    self.replicaIdentity = replicaIdentity
    self.columns = columns
  }
}
