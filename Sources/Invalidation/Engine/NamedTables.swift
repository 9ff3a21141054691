/// What is known of tables that the stream knows by their names alone, as wal2json's: for each the columns that the rules
/// read, and where its messages had them last. A table's identifier is valid for one connection.
struct NamedTables: Sendable {
  private struct Table: Sendable {
    /// Names of the columns that the rules read, in the order of the relation's.
    var needed: [[UInt8]] = []
    /// Where they stood last, in a row.
    var positions: [Int] = []
    /// Of rows that were compared with what is known of the table.
    var shapes: Set<UInt64> = []
    var lastShape: UInt64?
  }

  var decoder = Wal2jsonDecoder()
  private var identifiers: [TableName: UInt32] = [:]
  /// By identifier.
  private var tables: [Table] = []
  private var lastSchema: [UInt8] = []
  private var lastTable: [UInt8] = []
  private var lastIdentifier: UInt32?

  /// Nil for a message that names no table.
  @inline(__always)
  mutating func identifierOfMessage() -> UInt32? {
    guard let schema = decoder.schema, let table = decoder.table else { return nil }
    if let lastIdentifier, decoder.text.span.matches(table, lastTable),
      decoder.text.span.matches(schema, lastSchema)
    {
      return lastIdentifier
    }
    let name = decoder.tableName
    let identifier = identifiers[name] ?? UInt32(tables.count)
    if identifiers.updateValue(identifier, forKey: name) == nil { tables.append(Table()) }
    lastSchema = Array(decoder.text[schema])
    lastTable = Array(decoder.text[table])
    lastIdentifier = identifier
    return identifier
  }

  mutating func read(_ columns: [String], of identifier: UInt32) {
    tables[Int(identifier)].needed = columns.map { Array($0.utf8) }
    tables[Int(identifier)].positions = Array(columns.indices)
  }

  /// Whether no row of the table had these columns yet. Of a table whose updates leave out TOAST values in many ways
  /// only so many are remembered.
  mutating func isNews(_ shape: UInt64, of identifier: UInt32) -> Bool {
    if tables[Int(identifier)].lastShape == shape { return false }
    tables[Int(identifier)].lastShape = shape
    guard !tables[Int(identifier)].shapes.contains(shape) else { return false }
    if tables[Int(identifier)].shapes.count >= 64 { tables[Int(identifier)].shapes.removeAll() }
    tables[Int(identifier)].shapes.insert(shape)
    return true
  }

  mutating func forgetShapes(of identifier: UInt32, but present: UInt64) {
    tables[Int(identifier)].shapes = [present]
  }

  mutating func restart() {
    let decoder = decoder
    self = NamedTables()
    self.decoder = decoder
  }

  /// Puts what the message tells of its rows into their images.
  @inline(__always)
  mutating func fill(_ images: inout RowImages, _ identifier: UInt32) {
    images.clear()
    switch decoder.action {
    case .insert: fill(&images.new, from: decoder.columns, identifier)
    case .update:
      fill(&images.new, from: decoder.columns, identifier)
      fill(&images.old, from: decoder.identity, identifier)
    case .delete: fill(&images.old, from: decoder.identity, identifier)
    case .truncate, .begin, .commit, .message: break
    }
  }

  /// Puts the needed columns into an image; those that the message leaves out are unchanged TOAST, or no part of the
  /// replica identity, or gone.
  @inline(__always)
  private mutating func fill(
    _ image: inout RowImage, from columns: [Wal2jsonDecoder.Column], _ identifier: UInt32
  ) {
    image.begin()
    let table = Int(identifier)
    for number in tables[table].needed.indices {
      if let place = place(of: number, in: columns, table) {
        image.append(columns[place].value)
      } else {
        image.append(.unchanged)
      }
    }
  }

  /// Where the needed column stands, which is mostly where it stood last.
  @inline(__always)
  private mutating func place(of number: Int, in columns: [Wal2jsonDecoder.Column], _ table: Int) -> Int? {
    let hint = tables[table].positions[number]
    if hint < columns.count, decoder.text.span.matches(columns[hint].name, tables[table].needed[number]) {
      return hint
    }
    let name = tables[table].needed[number]
    let place = columns.firstIndex { decoder.text.span.matches($0.name, name) }
    if let place { tables[table].positions[number] = place }
    return place
  }
}

extension Wal2jsonDecoder {
  var tableName: TableName {
    TableName(schema: schema.map(string) ?? "", name: table.map(string) ?? "")
  }
}
