/// The lists of columns in a message of wal2json, which names and types every column in each row anew:
///
///     [{"name":"id","type":"bigint","value":7},{"name":"email","type":"text","value":"ada@example.org"}]
///
/// Rows of one table differ in their values alone, so a column is first compared with that of the row before, up to its value,
/// and taken apart where it differs.
extension Wal2jsonDecoder {
  /// Its parts lie in the `text` of the decoder.
  struct Column {
    var name: Range<Int>
    var type: Range<Int>
    /// The column's text as PostgreSQL prints it. Unknown when it may be NaN: wal2json writes null for NaN and the
    /// infinities too.
    var value: ColumnSlice
    /// From the brace to the member name `"value"`; empty where it cannot be compared: it has escapes, which are undone in
    /// the text, or its members come in another order, or more of them.
    var head: Range<Int>
  }

  /// What stays of a row for the next one.
  struct Row {
    var text: [UInt8] = []
    var columns: [Column] = []
    var identity: [Column] = []
    var shape = Wal2jsonDecoder.shapeOfNone
  }

  /// Appends the columns of a list; those of the row before lie in a text of their own. Answers whether all are called as
  /// those in the same places there.
  static func read(
    _ cursor: inout JSONCursor, _ text: inout [UInt8], into columns: inout [Column], like before: [Column],
    of textBefore: [UInt8]
  ) throws(DecodeError) -> Bool {
    var areCalledAlike = true
    try cursor.take(UInt8(ascii: "["))
    if cursor.skip(UInt8(ascii: "]")) { return true }
    repeat {
      let place = columns.count
      if place < before.count,
        let column = try column(&cursor, &text, calledLike: before[place], of: textBefore.span)
      {
        columns.append(column)
      } else {
        areCalledAlike = false
        columns.append(try column(&cursor, &text))
      }
    } while try cursor.goesOn(until: UInt8(ascii: "]"))
    return areCalledAlike
  }

  /// Nil, and nothing is taken, unless the next column has the same head, and ends after its value.
  @_lifetime(cursor: copy cursor)
  @inline(__always)
  private static func column(
    _ cursor: inout JSONCursor, _ text: inout [UInt8], calledLike before: Column, of textBefore: Span<UInt8>
  ) throws(DecodeError) -> Column? {
    var trial = cursor
    guard !before.head.isEmpty, trial.skip(textBefore.extracting(before.head)) else { return nil }
    let head = cursor.offset..<trial.offset
    try trial.take(UInt8(ascii: ":"))
    let value = try trial.scalar(in: &text)
    guard trial.skip(UInt8(ascii: "}")) else { return nil }
    cursor = trial
    let shift = head.lowerBound - before.head.lowerBound
    let (name, type) = (before.name.shifted(by: shift), before.type.shifted(by: shift))
    return Column(name: name, type: type, value: slice(value, type, &text), head: head)
  }

  private static func column(
    _ cursor: inout JSONCursor, _ text: inout [UInt8]
  ) throws(DecodeError) -> Column {
    try cursor.take(UInt8(ascii: "{"))
    var parts = Parts(head: cursor.offset - 1..<cursor.offset - 1)
    try parts.take(&cursor, &text)
    return try parts.column(&cursor, &text)
  }

  /// A column of which not every member has come.
  private struct Parts {
    var name: Range<Int>?
    var type: Range<Int>?
    var value: JSONCursor.Value?
    var head: Range<Int>

    /// Takes members to the closing brace.
    mutating func take(_ cursor: inout JSONCursor, _ text: inout [UInt8]) throws(DecodeError) {
      let start = head.lowerBound
      repeat {
        head = start..<start
        let member = try cursor.string(in: &text)
        let end = cursor.offset
        try cursor.take(UInt8(ascii: ":"))
        if text.span.matches(member, "name") {
          name = try cursor.string(in: &text)
        } else if text.span.matches(member, "type") {
          type = try cursor.string(in: &text)
        } else if text.span.matches(member, "value") {
          if name != nil, type != nil, value == nil, cursor.endOfEscapes <= start { head = start..<end }
          value = try cursor.scalar(in: &text)
        } else {
          try cursor.skipValue(&text)
        }
      } while try cursor.goesOn(until: UInt8(ascii: "}"))
    }

    func column(_ cursor: inout JSONCursor, _ text: inout [UInt8]) throws(DecodeError) -> Column {
      guard let name, let type, let value else { throw cursor.error("a column lacks a member") }
      return Column(name: name, type: type, value: slice(value, type, &text), head: head)
    }
  }

  @inline(__always)
  private static func slice(_ value: JSONCursor.Value, _ type: Range<Int>, _ text: inout [UInt8])
    -> ColumnSlice
  {
    switch value {
    case .number(let range): return ColumnSlice(range)
    case .string(let range):
      // Only the type itself; a domain over it is printed as a text.
      guard text.span.matches(type, "bytea") else { return ColumnSlice(range) }
      // The two bytes before are the quote, and the colon or white space.
      text[range.lowerBound - 2] = UInt8(ascii: "\\")
      text[range.lowerBound - 1] = UInt8(ascii: "x")
      return ColumnSlice(range.lowerBound - 2..<range.upperBound)
    // PostgreSQL prints the first letter.
    case .boolean(_, let place): return ColumnSlice(place..<place + 1)
    case .null: return mayBeNotANumber(text.span.extracting(type)) ? .unknown : .null
    }
  }

  private static func mayBeNotANumber(_ type: Span<UInt8>) -> Bool {
    let whole = 0..<type.count
    return type.matches(whole, "real") || type.matches(whole, "double precision")
      || type.matches(whole, "numeric")
      || (type.count > 8 && type.matches(0..<8, "numeric(") && type[type.count - 1] == UInt8(ascii: ")"))
  }
}
