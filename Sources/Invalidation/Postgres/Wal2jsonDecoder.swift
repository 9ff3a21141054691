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

    var isOfRow: Bool { self == .insert || self == .update || self == .delete }
  }

  private(set) var action = Action.begin
  /// The message, with its names and values unescaped in place.
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
  /// FNV-1a over the names and types of the columns.
  private(set) var shape = Wal2jsonDecoder.shapeOfNone
  static let shapeOfNone: UInt64 = 0xCBF2_9CE4_8422_2325
  /// The row before this one, whose columns are mostly called the same.
  private var before = Row()
  private var isLikeBefore = true
  private var isWhole = false
  private var opening = Opening()

  /// Decodes the message that starts at `offset` and must end where `bytes` end.
  mutating func decode(_ bytes: Span<UInt8>, at offset: Int) throws(DecodeError) {
    clear()
    text.append(bytes)
    var cursor = JSONCursor(bytes, at: offset)
    var action: Action?
    var goesOn = true
    if opening.isNext(&cursor, &text) {
      action = opening.action
      let names = opening.names(before: cursor.offset)
      schema = names.schema
      table = names.table
      try opening.endsInColumns ? readColumns(&cursor) : readIdentity(&cursor)
      goesOn = try cursor.goesOn(until: UInt8(ascii: "}"))
    } else {
      try cursor.take(UInt8(ascii: "{"))
      opening.begin(at: cursor.offset - 1)
    }
    while goesOn {
      let name = try cursor.string(in: &text)
      try cursor.take(UInt8(ascii: ":"))
      if matches(name, "action") {
        action = Action(rawValue: try letter(&cursor))
        guard action != nil else { throw cursor.error("unknown action") }
      } else {
        try member(name, of: action, &cursor)
      }
      goesOn = try cursor.goesOn(until: UInt8(ascii: "}"))
    }
    try cursor.end()
    guard let action else { throw cursor.error("a message without an action") }
    self.action = action
    try complete(cursor.offset)
    shape = isLikeBefore && columns.count == before.columns.count ? before.shape : shapeOfColumns
    isWhole = true
  }

  private mutating func clear() {
    keepRow()
    text.removeAll(keepingCapacity: true)
    columns.removeAll(keepingCapacity: true)
    identity.removeAll(keepingCapacity: true)
    hasIdentity = false
    (xid, position, end, commitTime) = (nil, nil, nil, nil)
    (schema, table, prefix, content) = (nil, nil, nil, nil)
    isTransactional = false
  }

  /// A row that is called otherwise than the one before stays for the next one.
  private mutating func keepRow() {
    defer { (isWhole, isLikeBefore) = (false, true) }
    guard isWhole, !isLikeBefore else { return }
    swap(&text, &before.text)
    swap(&columns, &before.columns)
    swap(&identity, &before.identity)
    before.shape = shape
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

  private mutating func member(
    _ name: Range<Int>, of action: Action?, _ cursor: inout JSONCursor
  ) throws(DecodeError) {
    if matches(name, "columns") {
      keepOpening(action, &cursor, endsInColumns: true)
      try readColumns(&cursor)
    } else if matches(name, "identity") {
      keepOpening(action, &cursor, endsInColumns: false)
      try readIdentity(&cursor)
    } else if action?.isOfRow == true,
      matches(name, "xid") || matches(name, "lsn") || matches(name, "timestamp")
    {
      // Begin has told them.
      opening.passOver(from: cursor.offset)
      _ = try cursor.scalar(in: &text)
      opening.goOn(at: cursor.offset)
    } else if matches(name, "schema") {
      schema = try cursor.string(in: &text)
    } else if matches(name, "table") {
      table = try cursor.string(in: &text)
    } else if matches(name, "xid") {
      xid = try number(&cursor)
    } else if matches(name, "lsn") {
      position = try lsn(&cursor)
    } else if matches(name, "nextlsn") {
      end = try lsn(&cursor)
    } else if matches(name, "timestamp") {
      commitTime = try time(&cursor)
    } else if matches(name, "prefix") {
      prefix = try cursor.string(in: &text)
    } else if matches(name, "content") {
      content = try cursor.string(in: &text)
    } else if matches(name, "transactional") {
      if case .boolean(true, _) = try cursor.scalar(in: &text) {
        isTransactional = true
      } else {
        isTransactional = false
      }
    } else {
      try cursor.skipValue(&text)
    }
  }

  private mutating func readColumns(_ cursor: inout JSONCursor) throws(DecodeError) {
    let areAlike = try Self.read(&cursor, &text, into: &columns, like: before.columns, of: before.text)
    isLikeBefore = isLikeBefore && areAlike
  }

  private mutating func readIdentity(_ cursor: inout JSONCursor) throws(DecodeError) {
    hasIdentity = true
    let areAlike = try Self.read(&cursor, &text, into: &identity, like: before.identity, of: before.text)
    isLikeBefore = isLikeBefore && areAlike
  }

  private mutating func keepOpening(_ action: Action?, _ cursor: inout JSONCursor, endsInColumns: Bool) {
    guard let action, action.isOfRow, let schema, let table, xid == nil, position == nil, end == nil,
      commitTime == nil, prefix == nil, content == nil, cursor.endOfEscapes == 0
    else { return opening.forget() }
    opening.keep(
      cursor.bytes, to: cursor.offset, action: action, schema: schema, table: table,
      endsInColumns: endsInColumns)
  }

  private var shapeOfColumns: UInt64 {
    var hash = Wal2jsonDecoder.shapeOfNone
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    for column in columns {
      for byte in text[column.name] { add(byte) }
      add(0)
      for byte in text[column.type] { add(byte) }
      add(0)
    }
    return hash
  }

  // MARK: Scalars

  @inline(__always)
  func matches(_ range: Range<Int>, _ word: StaticString) -> Bool { text.span.matches(range, word) }

  func string(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }

  private mutating func letter(_ cursor: inout JSONCursor) throws(DecodeError) -> UInt8 {
    let range = try cursor.string(in: &text)
    guard range.count == 1 else { throw cursor.error("unknown action") }
    return text[range.lowerBound]
  }

  private mutating func number(_ cursor: inout JSONCursor) throws(DecodeError) -> UInt32? {
    switch try cursor.scalar(in: &text) {
    case .null: return nil
    case .number(let range):
      if let value = decimal(range) { return value }
      throw cursor.error("no transaction id")
    case .boolean, .string: throw cursor.error("no transaction id")
    }
  }

  private func decimal(_ range: Range<Int>) -> UInt32? {
    var value: UInt64 = 0
    for byte in text[range] {
      guard 0x30...0x39 ~= byte else { return nil }
      value = value * 10 + UInt64(byte - 0x30)
      guard value <= UInt32.max else { return nil }
    }
    return UInt32(value)
  }

  private mutating func lsn(_ cursor: inout JSONCursor) throws(DecodeError) -> LSN {
    let range = try cursor.string(in: &text)
    guard let lsn = LSN(text.span.extracting(range)) else { throw cursor.error("no LSN") }
    return lsn
  }

  private mutating func time(_ cursor: inout JSONCursor) throws(DecodeError) -> Int64? {
    switch try cursor.scalar(in: &text) {
    case .null: return nil
    case .string(let range):
      if let time = PostgresTimestamp.microseconds(text.span.extracting(range)) { return time }
      throw cursor.error("no timestamp in UTC")
    case .boolean, .number: throw cursor.error("no timestamp in UTC")
    }
  }
}

extension ColumnSlice {
  init(_ range: Range<Int>) { self.init(offset: Int32(range.lowerBound), length: Int32(range.count)) }
}
