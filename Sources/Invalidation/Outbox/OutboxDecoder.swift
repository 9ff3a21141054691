/// Decodes the changes in a row of the outbox, one after the other:
///
///     [{"new": {"id": "1", "email": null}}, {"old": {...}, "new": {...}}, {"both": {...}}]
///
/// Source: `sql/outbox.sql`, `cdcd.watch`.
struct OutboxDecoder: Sendable {
  /// The row, with the texts of the changes so far unescaped in place.
  private(set) var text: [UInt8] = []
  private var slices: [ColumnSlice] = []
  /// Which of the wanted columns stood where in the last row: mostly the same in the next one.
  private var order: [Int?] = []

  /// A row comes, all of whose changes are taken before those of another.
  mutating func begin(_ row: Span<UInt8>) {
    text.removeAll(keepingCapacity: true)
    text.append(row)
  }

  /// Takes the object that begins at the cursor. The images have the columns named, in that order; those that the row
  /// lacks count as unchanged.
  @_lifetime(cursor: copy cursor)
  mutating func change(
    _ cursor: inout JSONCursor, columns: [[UInt8]], into images: inout RowImages
  ) throws(DecodeError) {
    images.clear()
    try cursor.take(UInt8(ascii: "{"))
    repeat {
      let name = try cursor.string(in: &text)
      try cursor.take(UInt8(ascii: ":"))
      if text[name].elementsEqual("new".utf8) {
        try row(&cursor, columns, into: &images.new)
      } else if text[name].elementsEqual("old".utf8) {
        try row(&cursor, columns, into: &images.old)
      } else if text[name].elementsEqual("both".utf8) {
        try row(&cursor, columns, into: &images.new)
        images.old = images.new
      } else {
        throw cursor.error("a row that is neither old nor new")
      }
    } while try cursor.goesOn(until: UInt8(ascii: "}"))
  }

  @_lifetime(cursor: copy cursor)
  private mutating func row(
    _ cursor: inout JSONCursor, _ columns: [[UInt8]], into image: inout RowImage
  ) throws(DecodeError) {
    slices.removeAll(keepingCapacity: true)
    slices.append(contentsOf: repeatElement(.unchanged, count: columns.count))
    var place = 0
    try cursor.take(UInt8(ascii: "{"))
    if !cursor.skip(UInt8(ascii: "}")) {
      repeat {
        let name = try cursor.string(in: &text)
        try cursor.take(UInt8(ascii: ":"))
        let value = try self.value(&cursor)
        if let column = column(name, at: place, of: columns) { slices[column] = value }
        place += 1
      } while try cursor.goesOn(until: UInt8(ascii: "}"))
    }
    image.begin()
    for slice in slices { image.append(slice) }
  }

  private mutating func column(_ name: Range<Int>, at place: Int, of columns: [[UInt8]]) -> Int? {
    if place < order.count, let hint = order[place], hint < columns.count,
      text[name].elementsEqual(columns[hint])
    {
      return hint
    }
    let found = columns.firstIndex { text[name].elementsEqual($0) }
    while order.count <= place { order.append(nil) }
    order[place] = found
    return found
  }

  @_lifetime(cursor: copy cursor)
  private mutating func value(_ cursor: inout JSONCursor) throws(DecodeError) -> ColumnSlice {
    switch try cursor.scalar(in: &text) {
    case .null: return .null
    case .string(let range): return ColumnSlice(range)
    case .boolean, .number: throw cursor.error("a value that is no text")
    }
  }
}
