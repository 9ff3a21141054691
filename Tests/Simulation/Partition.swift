import Invalidation

/// In partitioned worlds the users are in two partitions, by their ids.
enum Partition: UInt32, CaseIterable {
  case even, odd

  init(of row: Row) { self = row.id % 2 == 0 ? .even : .odd }
}

/// A table as the stream names it.
struct StreamedTable: Hashable {
  var table: Table
  /// Nil for a table that has none, and where the publication sends changes under the root's name.
  var partition: Partition?

  var name: String { table.name + (partition.map { "_\($0)" } ?? "") }
  var oid: UInt32 { table.oid + (partition.map { 1 + $0.rawValue } ?? 0) }

  static func of(_ reference: TableReference) -> StreamedTable? {
    let streamed = Table.allCases.flatMap { table in
      [StreamedTable(table: table)] + Partition.allCases.map { StreamedTable(table: table, partition: $0) }
    }
    return streamed.first { table in
      switch reference {
      case .identified(let oid): table.oid == oid
      case .named(let name): name == TableName(schema: "public", name: table.name)
      }
    }
  }
}

extension Change {
  /// Of the users.
  func touches(_ partition: Partition) -> Bool {
    if tables.contains(.users) { return self.partition == nil || self.partition == partition }
    return table == .users && [old, new].contains { $0.map(Partition.init(of:)) == partition }
  }
}

/// What the stream says of a change.
struct StreamedChange {
  var change: Change
  /// TRUNCATE has several.
  var tables: [StreamedTable]

  /// A row that moves from one partition to another is deleted and inserted.
  static func of(_ change: Change, byPartition: Bool) -> [StreamedChange] {
    guard byPartition, change.table == .users || change.tables.contains(.users) else {
      let tables = change.kind == .truncate ? change.tables.filter(\.isPublished) : [change.table]
      return [StreamedChange(change: change, tables: tables.map { StreamedTable(table: $0) })]
    }
    switch change.kind {
    case .alter, .message:
      return [StreamedChange(change: change, tables: [StreamedTable(table: change.table)])]
    case .truncate:
      let tables = change.tables.filter(\.isPublished).flatMap { table in
        let partitions = change.partition.map { [$0] } ?? Partition.allCases
        return table == .users
          ? partitions.map { StreamedTable(table: .users, partition: $0) } : [StreamedTable(table: table)]
      }
      return [StreamedChange(change: change, tables: tables)]
    case .insert, .update, .delete: return rows(change)
    }
  }

  private static func rows(_ change: Change) -> [StreamedChange] {
    let old = change.old.map { Partition(of: $0) }
    let new = change.new.map { Partition(of: $0) }
    guard let old, let new, old != new else {
      return [
        StreamedChange(change: change, tables: [StreamedTable(table: .users, partition: old ?? new)])
      ]
    }
    var deletion = change
    deletion.kind = .delete
    deletion.new = nil
    var insertion = change
    insertion.kind = .insert
    insertion.old = nil
    return [
      StreamedChange(change: deletion, tables: [StreamedTable(table: .users, partition: old)]),
      StreamedChange(change: insertion, tables: [StreamedTable(table: .users, partition: new)]),
    ]
  }
}
