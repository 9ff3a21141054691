@testable import Invalidation

/// Builds pgoutput messages by hand, for the tests of the decoder and of the rules.
struct MessageWriter {
  var bytes: [UInt8] = []

  mutating func int8(_ value: UInt8) { bytes.append(value) }
  mutating func int16(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 255)] }
  mutating func int32(_ value: UInt32) {
    int16(UInt16(value >> 16))
    int16(UInt16(value & 0xFFFF))
  }
  mutating func int64(_ value: UInt64) {
    int32(UInt32(value >> 32))
    int32(UInt32(value & 0xFFFF_FFFF))
  }
  mutating func text(_ value: String) { bytes += Array(value.utf8) + [0] }

  mutating func tuple(_ columns: [TestColumn]) {
    int16(UInt16(columns.count))
    for column in columns {
      switch column {
      case .null: int8(UInt8(ascii: "n"))
      case .unchanged: int8(UInt8(ascii: "u"))
      case .text(let value):
        int8(UInt8(ascii: "t"))
        int32(UInt32(value.utf8.count))
        bytes += value.utf8
      }
    }
  }
}

enum TestColumn: ExpressibleByStringLiteral, ExpressibleByNilLiteral {
  case text(String)
  case null
  case unchanged

  init(stringLiteral value: String) { self = .text(value) }
  init(nilLiteral: ()) { self = .null }
}

enum TestMessage {
  static func insert(_ new: [TestColumn], relation: UInt32 = 7) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "I"))
    writer.int32(relation)
    writer.int8(UInt8(ascii: "N"))
    writer.tuple(new)
    return writer.bytes
  }

  static func update(
    key: [TestColumn]? = nil, old: [TestColumn]? = nil, new: [TestColumn], relation: UInt32 = 7
  ) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "U"))
    writer.int32(relation)
    if let key {
      writer.int8(UInt8(ascii: "K"))
      writer.tuple(key)
    }
    if let old {
      writer.int8(UInt8(ascii: "O"))
      writer.tuple(old)
    }
    writer.int8(UInt8(ascii: "N"))
    writer.tuple(new)
    return writer.bytes
  }

  static func delete(key: [TestColumn], relation: UInt32 = 7) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "D"))
    writer.int32(relation)
    writer.int8(UInt8(ascii: "K"))
    writer.tuple(key)
    return writer.bytes
  }

  static func begin(xid: UInt32) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "B"))
    writer.int64(0x10)
    writer.int64(1_234)
    writer.int32(xid)
    return writer.bytes
  }

  static func commit(end: UInt64) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "C"))
    writer.int8(0)
    writer.int64(end - 8)
    writer.int64(end)
    writer.int64(1_234)
    return writer.bytes
  }

  static func relation(_ relation: Relation) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "R"))
    writer.int32(relation.identifier)
    writer.text(relation.table.schema)
    writer.text(relation.table.name)
    writer.int8(relation.replicaIdentity.rawValue)
    writer.int16(UInt16(relation.columns.count))
    for column in relation.columns {
      writer.int8(column.isKey ? 1 : 0)
      writer.text(column.name)
      writer.int32(column.type)
      writer.int32(column.modifier)
    }
    return writer.bytes
  }

  static func truncate(_ relations: [UInt32]) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "T"))
    writer.int32(UInt32(relations.count))
    writer.int8(0)
    relations.forEach { writer.int32($0) }
    return writer.bytes
  }

  static func logicalMessage(
    prefix: String = "cdcd", _ content: [UInt8] = [1, 2, 3], isTransactional: Bool = true
  ) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "M"))
    writer.int8(isTransactional ? 1 : 0)
    writer.int64(99)
    writer.text(prefix)
    writer.int32(UInt32(content.count))
    writer.bytes += content
    return writer.bytes
  }

  static func data(_ payload: [UInt8], serverEnd: UInt64 = 0x100) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "w"))
    writer.int64(0)
    writer.int64(serverEnd)
    writer.int64(0)
    writer.bytes += payload
    return writer.bytes
  }

  static func keepalive(end: UInt64, reply: Bool) -> [UInt8] {
    var writer = MessageWriter()
    writer.int8(UInt8(ascii: "k"))
    writer.int64(end)
    writer.int64(0)
    writer.int8(reply ? 1 : 0)
    return writer.bytes
  }
}

/// A relation for tests: columns whose names end in `!` belong to the replica identity.
func testRelation(
  _ columns: [String], identity: Relation.ReplicaIdentity = .primaryKey, name: String = "users"
) -> Relation {
  Relation(
    identifier: 7, table: TableName(schema: "public", name: name), replicaIdentity: identity,
    columns: columns.map { name in
      let isKey = name.hasSuffix("!")
      return Relation.Column(
        name: isKey ? String(name.dropLast()) : name, isKey: isKey || identity == .full, type: 25,
        modifier: .max)
    })
}

/// A template from parts: texts are literals, `.column` a column.
func testTemplate(_ segments: KeyTemplate.Segment...) -> KeyTemplate {
  KeyTemplate(text: "\(segments)", segments: segments)
}

extension KeyTemplate.Segment: ExpressibleByStringLiteral {
  package init(stringLiteral value: String) { self = .literal(Array(value.utf8)) }
  static func column(_ name: String) -> Self { .column(name, []) }
}
