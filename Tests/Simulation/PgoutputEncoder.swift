/// Writes what a walsender writes: pgoutput messages of protocol version 1 inside XLogData and keepalives.
///
/// Source: PostgreSQL manual, chapters 55.4 "Streaming Replication Protocol" and 55.9 "Logical Replication
/// Message Formats". Big-endian throughout; strings end with a zero byte.
struct PgoutputEncoder {
  private(set) var bytes: [UInt8] = []

  /// `w`: dataStart, walEnd (a logical walsender puts the same position in both), the server's clock.
  static func data(_ lsn: UInt64, clock: Int64, _ write: (inout PgoutputEncoder) -> Void) -> [UInt8] {
    var encoder = PgoutputEncoder()
    encoder.byte("w")
    encoder.int64(lsn)
    encoder.int64(lsn)
    encoder.int64(UInt64(bitPattern: clock))
    write(&encoder)
    return encoder.bytes
  }

  /// `k`: the end of what was sent, the server's clock, whether an answer is wanted at once.
  static func keepalive(_ lsn: UInt64, clock: Int64, replyRequested: Bool) -> [UInt8] {
    var encoder = PgoutputEncoder()
    encoder.byte("k")
    encoder.int64(lsn)
    encoder.int64(UInt64(bitPattern: clock))
    encoder.bytes.append(replyRequested ? 1 : 0)
    return encoder.bytes
  }

  /// The message of another plugin.
  mutating func text(_ text: String) { bytes.append(contentsOf: text.utf8) }

  mutating func begin(finalLSN: UInt64, time: Int64, xid: UInt32) {
    byte("B")
    int64(finalLSN)
    int64(UInt64(bitPattern: time))
    int32(xid)
  }

  mutating func commit(lsn: UInt64, end: UInt64, time: Int64) {
    byte("C")
    bytes.append(0)
    int64(lsn)
    int64(end)
    int64(UInt64(bitPattern: time))
  }

  /// With `isBare` as a partition whose replica identity is its primary key.
  mutating func relation(_ streamed: StreamedTable, isBare: Bool = false) {
    let table = streamed.table
    let isFull = table.identityIsFull && !isBare
    byte("R")
    int32(streamed.oid)
    string("public")
    string(streamed.name)
    byte(isFull ? "f" : "d")
    int16(table.columns.count)
    for (index, column) in table.columns.enumerated() {
      bytes.append(isFull || index == 0 ? 1 : 0)
      string(column.name)
      int32(column.type)
      int32(UInt32.max)
    }
  }

  /// A user-defined type; consumers may ignore it.
  mutating func type() {
    byte("Y")
    int32(70_001)
    string("public")
    string("mood")
  }

  mutating func origin(_ lsn: UInt64) {
    byte("O")
    int64(lsn)
    string("elsewhere")
  }

  /// A logical decoding message, transactional or not.
  mutating func message(_ lsn: UInt64, transactional: Bool, prefix: String, _ content: String) {
    byte("M")
    bytes.append(transactional ? 1 : 0)
    int64(lsn)
    string(prefix)
    int32(UInt32(content.utf8.count))
    bytes.append(contentsOf: content.utf8)
  }

  mutating func change(_ streamed: StreamedChange) {
    let change = streamed.change
    let oid = streamed.tables[0].oid
    switch change.kind {
    case .insert:
      byte("I")
      int32(oid)
      newTuple(change)
    case .update:
      byte("U")
      int32(oid)
      let isWhole = change.table.identityIsFull && !change.isBare
      if isWhole || change.old?.id != change.new?.id { oldTuple(streamed) }
      newTuple(change)
    case .delete:
      byte("D")
      int32(oid)
      oldTuple(streamed)
    case .truncate:
      byte("T")
      int32(UInt32(streamed.tables.count))
      bytes.append(1)
      for table in streamed.tables { int32(table.oid) }
    case .alter, .message: break
    }
  }

  private mutating func newTuple(_ change: Change) {
    guard let row = change.new else { return }
    byte("N")
    int16(row.texts.count)
    for (index, text) in row.texts.enumerated() {
      if change.toastUnchanged, index == row.texts.count - 1 { byte("u") } else { value(text) }
    }
  }

  /// `O` carries the whole old row; `K` the key alone, every other column NULL. The letter follows the identity of the
  /// table that is named, the columns that of the partition.
  private mutating func oldTuple(_ streamed: StreamedChange) {
    let change = streamed.change
    guard let row = change.old else { return }
    let namesPartition = streamed.tables[0].partition != nil
    byte(change.table.identityIsFull && !(namesPartition && change.isBare) ? "O" : "K")
    int16(row.texts.count)
    for (index, text) in row.texts.enumerated() {
      value((change.table.identityIsFull && !change.isBare) || index == 0 ? text : nil)
    }
  }

  private mutating func value(_ text: String?) {
    guard let text else { return byte("n") }
    byte("t")
    int32(UInt32(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  private mutating func byte(_ letter: UnicodeScalar) { bytes.append(UInt8(ascii: letter)) }

  private mutating func string(_ text: String) {
    bytes.append(contentsOf: text.utf8)
    bytes.append(0)
  }

  private mutating func int16(_ value: Int) {
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    bytes.append(UInt8(truncatingIfNeeded: value))
  }

  private mutating func int32(_ value: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  private mutating func int64(_ value: UInt64) {
    int32(UInt32(truncatingIfNeeded: value >> 32))
    int32(UInt32(truncatingIfNeeded: value))
  }
}
