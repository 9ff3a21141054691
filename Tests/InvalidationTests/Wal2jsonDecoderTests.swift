import Testing

@testable import Invalidation

/// Messages as wal2json 2.5 wrote them on PostgreSQL 15.
struct Wal2jsonDecoderTests {
  static let begin =
    #"{"action":"B","xid":742,"timestamp":"2026-11-25 21:34:12.11876+00","lsn":"0/1554BC0","nextlsn":"0/1554BF0"}"#
  static let commit =
    #"{"action":"C","xid":742,"timestamp":"2026-11-25 21:34:12.11876+00","lsn":"0/1554BC0","nextlsn":"0/1554BF0"}"#
  static let update =
    #"{"action":"U","xid":744,"timestamp":"2026-11-25 21:34:12.119375+00","lsn":"0/1554CF8","schema":"public","table":"d","columns":[{"name":"id","type":"integer","value":2},{"name":"b","type":"numeric(10,2)","value":1.50},{"name":"c","type":"integer","value":null}],"identity":[{"name":"id","type":"integer","value":1}]}"#
  static let insert =
    #"{"action":"I","schema":"public","table":"Odd \"T","columns":[{"name":"id","type":"bigint","value":9223372036854775807},{"name":"bo","type":"boolean","value":true},{"name":"f8","type":"double precision","value":1e+300},{"name":"by","type":"bytea","value":"deadbeef"},{"name":"dby","type":"dby","value":"\\x00ff"},{"name":"nan","type":"real","value":null},{"name":"n2","type":"numeric(4,1)","value":null},{"name":"na","type":"numeric[]","value":null},{"name":"h","type":"text","value":"line\n tab\t quote\" back\\ é \u0001 😀 /"},{"name":"Co l\"é","type":"text","value":"\ud83d\ude00"}]}"#
  static let delete =
    #"{"action":"D","schema":"public","table":"f","identity":[{"name":"id","type":"integer","value":1},{"name":"a","type":"text","value":null}]}"#
  static let truncate = #"{"action":"T","schema":"public","table":"d"}"#
  static let message =
    #"{"action":"M","xid":763,"timestamp":"2026-11-25 21:34:12.125042+00","lsn":"0/1560628","transactional":true,"prefix":"cdcd","content":"key \"user\":42"}"#
  static let outside =
    #"{"action":"M","xid":null,"timestamp":null,"lsn":"0/1560700","transactional":false,"prefix":"cdcd","content":""}"#
  static let all = [begin, commit, update, insert, delete, truncate, message, outside]

  private func decode(_ text: String) throws -> Wal2jsonDecoder {
    var decoder = Wal2jsonDecoder()
    try decoder.decode(Array(text.utf8).span, at: 0)
    return decoder
  }

  private func texts(_ columns: [Wal2jsonDecoder.Column], _ decoder: Wal2jsonDecoder) -> [String] {
    columns.map { column in
      if column.value.isNull { return decoder.string(column.name) + " NULL" }
      if column.value.isUnknown { return decoder.string(column.name) + " ?" }
      let start = Int(column.value.offset)
      return decoder.string(column.name) + "=" + decoder.string(start..<start + Int(column.value.length))
    }
  }

  @Test func transactions() throws {
    let begin = try decode(Self.begin)
    #expect(begin.action == .begin && begin.xid == 742)
    #expect(begin.position == LSN("0/1554BC0") && begin.end == LSN("0/1554BF0"))
    // SELECT extract(epoch FROM timestamp '2026-11-25 21:34:12.11876' - '2000-01-01') * 1000000
    #expect(begin.commitTime == 848_957_652_118_760)
    #expect(try decode(Self.commit).action == .commit)
  }

  @Test func rowsAsPostgresPrintsThem() throws {
    let update = try decode(Self.update)
    #expect(update.action == .update && update.table.map(update.string) == "d")
    #expect(texts(update.columns, update) == ["id=2", "b=1.50", "c NULL"])
    #expect(update.hasIdentity && texts(update.identity, update) == ["id=1"])
    let insert = try decode(Self.insert)
    #expect(insert.table.map(insert.string) == #"Odd "T"#)
    #expect(
      texts(insert.columns, insert) == [
        "id=9223372036854775807", "bo=t", "f8=1e+300", #"by=\xdeadbeef"#, #"dby=\x00ff"#, "nan ?", "n2 ?",
        "na NULL",
        "h=line\n tab\t quote\" back\\ é \u{1} 😀 /", "Co l\"é=😀",
      ])
    let delete = try decode(Self.delete)
    #expect(texts(delete.identity, delete) == ["id=1", "a NULL"])
  }

  @Test func messages() throws {
    let message = try decode(Self.message)
    #expect(message.prefix.map(message.string) == "cdcd")
    #expect(message.content.map(message.string) == #"key "user":42"# && message.isTransactional)
    let outside = try decode(Self.outside)
    #expect(outside.xid == nil && outside.commitTime == nil && outside.content?.isEmpty == true)
    #expect(!outside.isTransactional)
  }

  @Test func membersInAnyOrderAndUnknownOnes() throws {
    let text =
      #" { "pk" : [ {"a":[1,-2.5e3,true,{}]} , [] ] , "table":"t", "schema":"s" , "action" : "T" } "#
    let decoder = try decode(text)
    #expect(decoder.action == .truncate && decoder.schema.map(decoder.string) == "s")
  }

  @Test(arguments: [
    ("", "expected { at byte 0"), ("[]", "expected { at byte 0"), ("{}", "expected \" at byte 1"),
    (#"{"action":"X"}"#, "unknown action at byte 13"),
    (#"{"schema":"s"}"#, "a message without an action at byte 14"),
    (#"{"action":"I","schema":"s"}"#, "a message lacks a member at byte 27"),
    (#"{"action":"B"} x"#, "the message goes on after its end at byte 15"),
    (#"{"action":"C","nextlsn":"0/x"}"#, "no LSN at byte 29"),
    (#"{"action":"B","timestamp":"2026-01-01 00:00:00+01"}"#, "no timestamp in UTC at byte 50"),
    (#"{"action":"B","xid":4294967296}"#, "no transaction id at byte 30"),
    (#"{"a":"\ud800x"}"#, "half of a surrogate pair at byte 12"),
    (#"{"a":"\q"}"#, "an unknown escape in a string at byte 7"),
    (#"{"a":-}"#, "expected a digit at byte 6"), (#"{"a":nul}"#, "expected null at byte 5"),
  ])
  func errorsNameThePlace(text: String, expected: String) {
    #expect(throws: DecodeError.self) { try decode(text) }
    do { _ = try decode(text) } catch { #expect("\(error)" == expected) }
  }

  @Test func nestingHasALimit() {
    let deep = #"{"action":"B","x":"# + String(repeating: "[", count: 100_000)
    #expect(throws: DecodeError.self) { try decode(deep) }
  }

  @Test(arguments: all)
  func everyTruncationIsAnError(text: String) {
    let bytes = Array(text.utf8)
    for length in 0..<bytes.count {
      var decoder = Wal2jsonDecoder()
      #expect(throws: DecodeError.self, "\(length)") {
        try decoder.decode(Array(bytes[..<length]).span, at: 0)
      }
    }
  }

  @Test(arguments: all)
  func everyOtherByteIsSurvived(text: String) {
    var bytes = Array(text.utf8)
    var decoder = Wal2jsonDecoder()
    for index in bytes.indices {
      let byte = bytes[index]
      for other in [0, 0x22, 0x2C, 0x30, 0x5B, 0x5C, 0x5D, 0x75, 0x7B, 0x7D, 0xFF] as [UInt8] {
        bytes[index] = other
        try? decoder.decode(bytes.span, at: 0)
      }
      bytes[index] = byte
    }
    // It is as good as new afterwards.
    #expect(throws: Never.self) { try decoder.decode(bytes.span, at: 0) }
  }

  // MARK: Rows after rows

  /// A row is compared with the one before: what it says may not depend on that.
  @Test func aRowSaysTheSameAfterAnyOther() throws {
    let rows = Self.all + Self.rows
    for first in rows {
      for second in rows {
        var decoder = Wal2jsonDecoder()
        for text in [first, first, second, second, first] {
          try decoder.decode(Array(text.utf8).span, at: 0)
          let expected = describe(try decode(text))
          #expect(describe(decoder) == expected, "\(first) \(second)")
        }
      }
    }
  }

  @Test func aRowSaysTheSameAfterABrokenOne() throws {
    for broken in Self.all + Self.rows {
      for length in stride(from: 1, to: broken.utf8.count, by: 3) {
        var decoder = Wal2jsonDecoder()
        try decoder.decode(Array(Self.rows[0].utf8).span, at: 0)
        try? decoder.decode(Array(broken.utf8.prefix(length)).span, at: 0)
        for text in [broken, Self.rows[1]] {
          try decoder.decode(Array(text.utf8).span, at: 0)
          let expected = describe(try decode(text))
          #expect(describe(decoder) == expected, "\(broken) \(length)")
        }
      }
    }
  }

  private func describe(_ decoder: Wal2jsonDecoder) -> [String] {
    var lines = ["\(decoder.action) \(decoder.shape) \(decoder.isTransactional)"]
    for range in [decoder.schema, decoder.table, decoder.prefix, decoder.content] {
      lines.append(range.map(decoder.string) ?? "none")
    }
    for columns in [decoder.columns, decoder.identity] {
      lines += texts(columns, decoder)
      lines += columns.map { decoder.string($0.type) }
    }
    return lines
  }

  private static func row(
    _ columns: String, schema: String = "public", table: String = "t", lsn: String = "0/1"
  ) -> String {
    #"{"action":"U","xid":7,"timestamp":"2026-11-25 21:34:12.1+00","lsn":"\#(lsn)","schema":"\#(schema)","#
      + #""table":"\#(table)","columns":[\#(columns)],"identity":[{"name":"id","type":"int","value":1}]}"#
  }

  private static let id = #"{"name":"id","type":"integer","value":1}"#
  private static let bytea = #"{"name":"b","type":"bytea","value":"00ff"}"#
  static let rows: [String] = [
    row(id), row(#"{"name":"id","type":"integer","value":12345678901}"#, lsn: "FFFF/ABCDEF01"),
    row(id + "," + bytea), row(bytea + "," + id), row(bytea), row(""),
    row(#"{"name":"b","type":"bytea","value" : "00ff"}"#),
    row(#"{"value":"00ff","type":"bytea","name":"b"}"#),
    row(#"{"name":"i","type":"integer","value":1}"#), row(#"{"name":"id","type":"text","value":"1"}"#),
    row(id, table: "tt"), row(id, schema: "publi", table: "ct"), row(id, table: #"\u0074"#),
    row(#"{"name":"\u0069d","type":"integer","value":2}"#),
    row(#"{"n\u0061me":"id","type":"integer","value":3}"#),
    row(#"{"name":"a\"b","type":"integer","value":4}"#),
    row(#"{"name":"id","type":"integer","value":"\"}"}"#),
    row(#"{"name":"id","type":"integer","value":true}"#), row(#"{"name":"id","type":"real","value":null}"#),
    row(#"{"name":"id","type":"integer","value":1,"optional":true}"#),
    row(#"{"name":"id","type":"integer","value":1,"name":"other"}"#),
    row(#"{"name":"id","type":"integer","value":1,"value":2}"#), row(id + "," + id),
    row(#"{"name":"id","type":"integer","value":"\u0022,\u0022value\u0022:"}"#),
    #"{"schema":"s","table":"t","columns":[{"name":"id","type":"integer","value":1}],"action":"I"}"#,
    #"{"action":"I","schema":"s","table":"t","lsn":"0/1","columns":[],"identity":[],"columns":[]}"#,
    #"{"action":"D","identity":[{"name":"id","type":"integer","value":1}],"schema":"s","table":"t"}"#,
    #" { "action":"I" , "lsn" : "0/1" , "schema":"s","table":"t","columns" : [ {"name":"a","type":"text","value": "x"} ] } "#,
  ]

  // MARK: Strings

  @Test(arguments: [
    ("", ""), (#"\n"#, "\n"), (#"1234567\n"#, "1234567\n"), (#"12345678\n"#, "12345678\n"),
    (#"\n1234567"#, "\n1234567"), (#"\n12345678"#, "\n12345678"), (#"1234567\n8\n"#, "1234567\n8\n"),
    (#"\\\\\"\/"#, #"\\"/"#), (#"12345678\"12345678\\12345678"#, #"12345678"12345678\12345678"#),
    (#"\b\f\r\t"#, "\u{8}\u{C}\r\t"), (#"\u0041\u00e9\u20AC\ud83d\ude00"#, "Aé€😀"),
    (#"é😀1234567é"#, "é😀1234567é"),
    (#"1234567😀\ud83d\ude00"#, "1234567😀😀"), ("[]{},:'1234567", "[]{},:'1234567"),
    ("\u{80}\u{A2}\u{DC}!#", "\u{80}\u{A2}\u{DC}!#"),
  ])
  func strings(escaped: String, expected: String) throws {
    for padding in 0..<9 {
      let blanks = String(repeating: " ", count: padding)
      let text = blanks + "\"\(escaped)\",12345678"
      let bytes = Array(text.utf8)
      var copy = bytes
      let span = bytes.span
      var cursor = JSONCursor(span)
      let range = try cursor.string(in: &copy)
      #expect(String(decoding: copy[range], as: UTF8.self) == expected)
      #expect(cursor.offset == text.utf8.count - 9)
      #expect(copy.suffix(9) == bytes.suffix(9))
    }
  }

  /// Every byte, in every place of a word, stands for itself or ends the run.
  @Test func runsOfPlainText() {
    for byte in UInt8.min...UInt8.max {
      for place in 0..<17 {
        var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 17)
        bytes[place] = byte
        let endsIt = byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
        #expect(bytes.span.endOfPlainText(from: 0) == (endsIt ? place : 17), "\(byte) \(place)")
      }
    }
  }

  @Test func comparedByWords() {
    let bytes = Array(UInt8(0)..<40)
    for start in 0..<bytes.count {
      for count in 0...(bytes.count - start) {
        let other = Array(bytes[start..<start + count])
        let isThere = bytes.span.has(other.span, at: start)
        #expect(isThere)
        for place in other.indices {
          var changed = other
          changed[place] ^= 0x40
          let isFound = bytes.span.has(changed.span, at: start)
          #expect(!isFound)
        }
      }
      let longer = Array(bytes[start...]) + [40]
      let isLongerFound = bytes.span.has(longer.span, at: start)
      #expect(!isLongerFound)
    }
  }

  @Test(arguments: [
    ("0/1554BC0", 0x155_4BC0 as UInt64?), ("ffffffff/FFFFFFFF", .max), ("0/0", 0),
    ("16/b374D848", 0x16_B374_D848),
    ("/1", nil), ("1/", nil), ("1", nil), ("", nil), ("/", nil), ("1/2/3", nil), ("123456789/0", nil),
    ("0/123456789", nil), ("0x1/2", nil), (" 1/2", nil), ("1/g", nil),
  ])
  func positions(text: String, expected: UInt64?) {
    #expect(LSN(Array(text.utf8).span)?.rawValue == expected)
    #expect(LSN(text)?.rawValue == expected)
  }

  @Test(arguments: [
    ("2000-01-01 00:00:00+00", 0 as Int64?), ("2000-03-01 00:00:00.000001+00", 5_184_000_000_001),
    ("1999-12-31 23:59:59.5+00", -500_000), ("2024-02-29 12:00:00+00", 762_523_200_000_000),
    ("2024-02-29 12:00:00", nil), ("2024-02-29 12:00:00.+00", nil), ("24-02-29 12:00:00+00", nil),
    ("2024-13-29 12:00:00+00", nil), ("2024-02-29 12:00:00.1234567+00", nil),
    // What PostgreSQL has besides; a replication origin may set any of it as the time of a commit.
    ("-infinity", .min), ("infinity", .max), ("+infinity", nil), ("infinit", nil), ("", nil),
    ("4714-11-24 00:00:00+00 BC", -211_813_488_000_000_000),
    ("0044-03-15 12:00:00+00 BC", -64_464_465_600_000_000),
    ("0001-12-31 00:00:00.25+00 BC", -63_082_367_999_750_000),
    ("10000-01-01 00:00:00+00", 252_455_616_000_000_000),
    ("294276-12-31 23:59:59.999999+00", 9_223_371_331_199_999_999),
    ("294277-01-01 00:00:00+00", nil), ("999999-12-31 00:00:00+00", nil), ("4715-01-01 00:00:00+00 BC", nil),
    ("1000000-01-01 00:00:00+00", nil), ("2024-02-29 12:00:00 BC", nil), ("2024-02-29 12:00:00+00BC", nil),
    ("0000-01-01 00:00:00+00", nil), ("(timestamp out of range)", nil),
  ])
  func timestamps(text: String, expected: Int64?) {
    #expect(PostgresTimestamp.microseconds(Array(text.utf8).span) == expected)
  }
}
