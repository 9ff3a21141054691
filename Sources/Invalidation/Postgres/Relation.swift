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
    /// `pg_attribute.atttypid` and `atttypmod`; zero where no server describes the column.
    package var type: UInt32
    package var modifier: UInt32

    package init(name: String, isKey: Bool, type: UInt32 = 0, modifier: UInt32 = 0) {
      self.name = name
      self.isKey = isKey
      self.type = type
      self.modifier = modifier
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

  /// Whether rows of both look the same to a reader: what only says how changes are sent may differ.
  func hasRows(like other: Relation) -> Bool {
    identifier == other.identifier
      && columns.elementsEqual(other.columns) {
        $0.name == $1.name && $0.type == $1.type && $0.modifier == $1.modifier
      }
  }
}
