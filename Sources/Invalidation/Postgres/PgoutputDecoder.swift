/// Decodes the messages of the pgoutput plugin, protocol version 1, text format.
///
///     Begin     'B' final LSN:8 commit time:8 xid:4
///     Commit    'C' flags:1 commit LSN:8 end LSN:8 commit time:8
///     Origin    'O' LSN:8 name:text
///     Relation  'R' id:4 schema:text name:text identity:1 count:2 { flags:1 name:text type:4 modifier:4 }
///     Type      'Y' id:4 schema:text name:text
///     Insert    'I' relation:4 'N' tuple
///     Update    'U' relation:4 [ 'K' tuple | 'O' tuple ] 'N' tuple
///     Delete    'D' relation:4 ( 'K' | 'O' ) tuple
///     Truncate  'T' count:4 options:1 { relation:4 }
///     Message   'M' flags:1 LSN:8 prefix:text length:4 bytes
///     tuple     count:2 { 'n' | 'u' | 't' length:4 bytes }
///
/// Source: PostgreSQL manual, chapter 55.9 "Logical Replication Message Formats".
struct PgoutputDecoder {
  /// A message whose rows, if any, are in the `RowImages` that were passed along.
  enum Message: Equatable {
    /// `position` is where the transaction's commit record lies.
    case begin(xid: UInt32, position: LSN, commitTime: Int64)
    case commit(end: LSN)
    case relation(Relation)
    case insert(relation: UInt32)
    case update(relation: UInt32)
    case delete(relation: UInt32)
    case truncate(relations: [UInt32])
    /// Of `pg_logical_emit_message()`; `content` is where its bytes lie.
    case logicalMessage(prefix: String, isTransactional: Bool, content: Range<Int>)
    /// Origin and Type: nothing depends on them.
    case irrelevant
  }

  /// Decodes the message that starts at `offset` and must end where `bytes` end.
  static func decode(
    _ bytes: Span<UInt8>, at offset: Int, into images: inout RowImages
  ) throws(DecodeError) -> Message {
    var cursor = ByteCursor(bytes, at: offset)
    let kind = try cursor.uint8()
    let message: Message
    switch kind {
    case UInt8(ascii: "I"): message = try insert(&cursor, into: &images)
    case UInt8(ascii: "U"): message = try update(&cursor, into: &images)
    case UInt8(ascii: "D"): message = try delete(&cursor, into: &images)
    case UInt8(ascii: "B"):
      let position = LSN(try cursor.uint64())
      let time = Int64(bitPattern: try cursor.uint64())
      message = .begin(xid: try cursor.uint32(), position: position, commitTime: time)
    case UInt8(ascii: "C"):
      try cursor.skip(9)
      let end = LSN(try cursor.uint64())
      try cursor.skip(8)
      message = .commit(end: end)
    case UInt8(ascii: "R"): message = .relation(try relation(&cursor))
    case UInt8(ascii: "T"): message = .truncate(relations: try truncate(&cursor))
    case UInt8(ascii: "M"): message = try logicalMessage(&cursor)
    case UInt8(ascii: "O"):
      try cursor.skip(8)
      _ = try cursor.string()
      message = .irrelevant
    case UInt8(ascii: "Y"):
      try cursor.skip(4)
      _ = try cursor.string()
      _ = try cursor.string()
      message = .irrelevant
    default: throw DecodeError(problem: "unknown message type \(kind)", offset: offset)
    }
    guard cursor.isAtEnd else { throw cursor.error("the message goes on after its end") }
    return message
  }

  @inline(__always)
  private static func insert(
    _ cursor: inout ByteCursor, into images: inout RowImages
  ) throws(DecodeError) -> Message {
    let relation = try cursor.uint32()
    images.clear()
    guard try cursor.uint8() == UInt8(ascii: "N") else { throw cursor.error("an Insert without a new row") }
    try tuple(&cursor, into: &images.new)
    return .insert(relation: relation)
  }

  private static func update(
    _ cursor: inout ByteCursor, into images: inout RowImages
  ) throws(DecodeError) -> Message {
    let relation = try cursor.uint32()
    images.clear()
    var kind = try cursor.uint8()
    if kind == UInt8(ascii: "K") || kind == UInt8(ascii: "O") {
      images.oldIsKeyOnly = kind == UInt8(ascii: "K")
      try tuple(&cursor, into: &images.old)
      kind = try cursor.uint8()
    }
    guard kind == UInt8(ascii: "N") else { throw cursor.error("an Update without a new row") }
    try tuple(&cursor, into: &images.new)
    return .update(relation: relation)
  }

  private static func delete(
    _ cursor: inout ByteCursor, into images: inout RowImages
  ) throws(DecodeError) -> Message {
    let relation = try cursor.uint32()
    images.clear()
    let kind = try cursor.uint8()
    guard kind == UInt8(ascii: "K") || kind == UInt8(ascii: "O") else {
      throw cursor.error("a Delete without an old row")
    }
    images.oldIsKeyOnly = kind == UInt8(ascii: "K")
    try tuple(&cursor, into: &images.old)
    return .delete(relation: relation)
  }

  @inline(__always)
  private static func tuple(_ cursor: inout ByteCursor, into image: inout RowImage) throws(DecodeError) {
    let count = Int(try cursor.uint16())
    var columns = image.begin(count: count)
    // A copy of its own, which nothing that is written meanwhile may touch, stays in registers.
    var rest = cursor
    defer { cursor.move(to: rest.offset) }
    for index in 0..<count {
      switch try rest.uint8() {
      case UInt8(ascii: "t"):
        let length = try rest.uint32()
        guard length <= UInt32(Int32.max) else { throw rest.error("a column is too long") }
        columns[index] = ColumnSlice(offset: Int32(rest.offset), length: Int32(length))
        try rest.skip(Int(length))
      case UInt8(ascii: "n"): columns[index] = .null
      case UInt8(ascii: "u"): columns[index] = .unchanged
      default: throw rest.error("unknown kind of column")
      }
    }
  }

  private static func relation(_ cursor: inout ByteCursor) throws(DecodeError) -> Relation {
    let identifier = try cursor.uint32()
    let schema = try cursor.string()
    let name = try cursor.string()
    guard let identity = Relation.ReplicaIdentity(rawValue: try cursor.uint8()) else {
      throw cursor.error("unknown replica identity")
    }
    var columns: [Relation.Column] = []
    for _ in 0..<(try cursor.uint16()) {
      let flags = try cursor.uint8()
      let column = try cursor.string()
      let type = try cursor.uint32()
      let modifier = try cursor.uint32()
      columns.append(Relation.Column(name: column, isKey: flags & 1 == 1, type: type, modifier: modifier))
    }
    // An empty schema stands for pg_catalog.
    return Relation(
      identifier: identifier,
      table: TableName(schema: schema.isEmpty ? "pg_catalog" : schema, name: name),
      replicaIdentity: identity, columns: columns)
  }

  private static func truncate(_ cursor: inout ByteCursor) throws(DecodeError) -> [UInt32] {
    let count = try cursor.uint32()
    try cursor.skip(1)
    var relations: [UInt32] = []
    for _ in 0..<count { relations.append(try cursor.uint32()) }
    return relations
  }

  private static func logicalMessage(_ cursor: inout ByteCursor) throws(DecodeError) -> Message {
    let isTransactional = try cursor.uint8() & 1 == 1
    try cursor.skip(8)
    let prefix = try cursor.string()
    let length = Int(try cursor.uint32())
    let start = cursor.offset
    try cursor.skip(length)
    return .logicalMessage(
      prefix: prefix, isTransactional: isTransactional, content: start..<start + length)
  }
}
