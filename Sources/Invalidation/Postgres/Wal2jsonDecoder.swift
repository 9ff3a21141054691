/// Decodes the messages of the wal2json plugin, format version 2: one JSON object for each Begin, change and Commit.
///
///     {"action":"B","xid":742,"timestamp":"2026-01-31 12:00:00.5+00","lsn":"0/1554BC0","nextlsn":"0/1554BF0"}
///     {"action":"U","schema":"public","table":"t","columns":[{"name":"id","type":"integer","value":1}],"identity":[…]}
///
/// Columns of an unchanged TOAST value are left out of `columns`; `identity` has the columns of the replica identity.
///
/// Source: wal2json's README and pg_decode_*_v2 in its source, version 2.5.
struct Wal2jsonDecoder {
  enum Action: UInt8 {
    case begin = 0x42  // B
    case commit = 0x43  // C
    case insert = 0x49  // I
    case update = 0x55  // U
    case delete = 0x44  // D
    case truncate = 0x54  // T
    case message = 0x4D  // M
  }

  struct Column {
    /// Where they lie in `text`.
    var name: Range<Int>
    var type: Range<Int>
    /// The column's text as PostgreSQL prints it. Unknown when it may be NaN: wal2json writes null for NaN and the
    /// infinities too.
    var value: ColumnSlice
  }

  private(set) var action = Action.begin
  /// Unescaped names and values of the message.
  private(set) var text: [UInt8] = []
  private(set) var xid: UInt32?
  /// Of Begin and Commit: where the commit record lies, and its end.
  private(set) var position: LSN?
  private(set) var end: LSN?
  /// Microseconds since 2000.
  private(set) var commitTime: Int64?
  private(set) var schema: Range<Int>?
  private(set) var table: Range<Int>?
  private(set) var columns: [Column] = []
  private(set) var identity: [Column] = []
  private(set) var hasIdentity = false
  private(set) var prefix: Range<Int>?
  private(set) var content: Range<Int>?
  /// Of a message: it belongs to a transaction, and is gone with it.
  private(set) var isTransactional = false

  /// Decodes the message that starts at `offset` and must end where `bytes` end.
  mutating func decode(_ bytes: Span<UInt8>, at offset: Int) throws(DecodeError) {
    clear()
    var cursor = JSONCursor(bytes, at: offset)
    var action: Action?
    try cursor.take(UInt8(ascii: "{"))
    repeat {
      let name = try cursor.string(into: &text)
      try cursor.take(UInt8(ascii: ":"))
      if matches(name, "action") {
        action = Action(rawValue: try letter(&cursor))
        guard action != nil else { throw cursor.error("unknown action") }
      } else {
        try member(name, &cursor)
      }
    } while try cursor.goesOn(until: UInt8(ascii: "}"))
    try cursor.end()
    guard let action else { throw cursor.error("a message without an action") }
    self.action = action
    try complete(cursor.offset)
  }

  private mutating func clear() {
    text.removeAll(keepingCapacity: true)
    columns.removeAll(keepingCapacity: true)
    identity.removeAll(keepingCapacity: true)
    hasIdentity = false
    (xid, position, end, commitTime) = (nil, nil, nil, nil)
    (schema, table, prefix, content) = (nil, nil, nil, nil)
    isTransactional = false
  }

  /// What each action needs is there.
  private func complete(_ offset: Int) throws(DecodeError) {
    let isComplete =
      switch action {
      case .begin: xid != nil && position != nil && commitTime != nil
      case .commit: end != nil
      case .insert, .update, .delete, .truncate: schema != nil && table != nil
      case .message: prefix != nil && content != nil
      }
    guard isComplete else { throw DecodeError(problem: "a message lacks a member", offset: offset) }
  }

  private mutating func member(_ name: Range<Int>, _ cursor: inout JSONCursor) throws(DecodeError) {
    if matches(name, "columns") {
      try list(&cursor, into: \.columns)
    } else if matches(name, "identity") {
      hasIdentity = true
      try list(&cursor, into: \.identity)
    } else if matches(name, "schema") {
      schema = try cursor.string(into: &text)
    } else if matches(name, "table") {
      table = try cursor.string(into: &text)
    } else if matches(name, "xid") {
      xid = try number(&cursor)
    } else if matches(name, "lsn") {
      position = try lsn(&cursor)
    } else if matches(name, "nextlsn") {
      end = try lsn(&cursor)
    } else if matches(name, "timestamp") {
      commitTime = try time(&cursor)
    } else if matches(name, "prefix") {
      prefix = try cursor.string(into: &text)
    } else if matches(name, "content") {
      content = try cursor.string(into: &text)
    } else if matches(name, "transactional") {
      isTransactional = try cursor.scalar(into: &text) == .boolean(true)
    } else {
      try cursor.skipValue(&text)
    }
  }

  // MARK: Columns

  private mutating func list(
    _ cursor: inout JSONCursor, into path: WritableKeyPath<Wal2jsonDecoder, [Column]>
  ) throws(DecodeError) {
    try cursor.take(UInt8(ascii: "["))
    if cursor.skip(UInt8(ascii: "]")) { return }
    repeat {
      self[keyPath: path].append(try column(&cursor))
    } while try cursor.goesOn(until: UInt8(ascii: "]"))
  }

  private mutating func column(_ cursor: inout JSONCursor) throws(DecodeError) -> Column {
    var name: Range<Int>?
    var type: Range<Int>?
    var value: JSONCursor.Value?
    try cursor.take(UInt8(ascii: "{"))
    repeat {
      let member = try cursor.string(into: &text)
      try cursor.take(UInt8(ascii: ":"))
      if matches(member, "name") {
        name = try cursor.string(into: &text)
      } else if matches(member, "type") {
        type = try cursor.string(into: &text)
      } else if matches(member, "value") {
        // Room for what a bytea lacks.
        text.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "x")])
        value = try cursor.scalar(into: &text)
      } else {
        try cursor.skipValue(&text)
      }
    } while try cursor.goesOn(until: UInt8(ascii: "}"))
    guard let name, let type, let value else { throw cursor.error("a column lacks a member") }
    return Column(name: name, type: type, value: slice(value, type))
  }

  private mutating func slice(_ value: JSONCursor.Value, _ type: Range<Int>) -> ColumnSlice {
    switch value {
    case .number(let range): return ColumnSlice(range)
    case .string(let range):
      // Only the type itself; a domain over it is printed as a text.
      return matches(type, "bytea")
        ? ColumnSlice(range.lowerBound - 2..<range.upperBound) : ColumnSlice(range)
    case .boolean(let isTrue):
      text.append(UInt8(ascii: isTrue ? "t" : "f"))
      return ColumnSlice(text.count - 1..<text.count)
    case .null: return mayBeNotANumber(type) ? .unknown : .null
    }
  }

  private func mayBeNotANumber(_ type: Range<Int>) -> Bool {
    matches(type, "real") || matches(type, "double precision") || matches(type, "numeric")
      || (type.count > 8 && matches(type.lowerBound..<type.lowerBound + 8, "numeric("))
        && text[type.upperBound - 1] == UInt8(ascii: ")")
  }

  // MARK: Scalars

  func matches(_ range: Range<Int>, _ word: StaticString) -> Bool {
    guard range.count == word.utf8CodeUnitCount else { return false }
    for index in 0..<range.count where unsafe text[range.lowerBound + index] != word.utf8Start[index] {
      return false
    }
    return true
  }

  func string(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }

  private mutating func letter(_ cursor: inout JSONCursor) throws(DecodeError) -> UInt8 {
    let range = try cursor.string(into: &text)
    guard range.count == 1 else { throw cursor.error("unknown action") }
    return text[range.lowerBound]
  }

  private mutating func number(_ cursor: inout JSONCursor) throws(DecodeError) -> UInt32? {
    switch try cursor.scalar(into: &text) {
    case .null: return nil
    case .number(let range):
      if let value = UInt32(string(range)) { return value }
      throw cursor.error("no transaction id")
    case .boolean, .string: throw cursor.error("no transaction id")
    }
  }

  private mutating func lsn(_ cursor: inout JSONCursor) throws(DecodeError) -> LSN {
    let range = try cursor.string(into: &text)
    guard let lsn = LSN(string(range)) else { throw cursor.error("no LSN") }
    return lsn
  }

  private mutating func time(_ cursor: inout JSONCursor) throws(DecodeError) -> Int64? {
    switch try cursor.scalar(into: &text) {
    case .null: return nil
    case .string(let range):
      if let time = PostgresTimestamp.microseconds(text[range]) { return time }
      throw cursor.error("no timestamp in UTC")
    case .boolean, .number: throw cursor.error("no timestamp in UTC")
    }
  }
}

extension ColumnSlice {
  init(_ range: Range<Int>) { self.init(offset: Int32(range.lowerBound), length: Int32(range.count)) }
}
