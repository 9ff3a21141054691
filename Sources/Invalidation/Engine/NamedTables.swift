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
  mutating func identifier(of decoder: Wal2jsonDecoder) -> UInt32? {
    guard let schema = decoder.schema, let table = decoder.table else { return nil }
    if let lastIdentifier, decoder.text[table].elementsEqual(lastTable),
      decoder.text[schema].elementsEqual(lastSchema)
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

  /// Puts what a message tells of its rows into their images.
  @inline(__always)
  mutating func fill(_ images: inout RowImages, from decoder: Wal2jsonDecoder, _ identifier: UInt32) {
    images.clear()
    switch decoder.action {
    case .insert: fill(&images.new, decoder.columns, of: decoder, identifier)
    case .update:
      fill(&images.new, decoder.columns, of: decoder, identifier)
      fill(&images.old, decoder.identity, of: decoder, identifier)
    case .delete: fill(&images.old, decoder.identity, of: decoder, identifier)
    case .truncate, .begin, .commit, .message: break
    }
  }

  /// Puts the needed columns into an image; those that the message leaves out are unchanged TOAST, or no part of the
  /// replica identity, or gone.
  @inline(__always)
  private mutating func fill(
    _ image: inout RowImage, _ columns: [Wal2jsonDecoder.Column], of decoder: Wal2jsonDecoder,
    _ identifier: UInt32
  ) {
    image.begin()
    let table = tables[Int(identifier)]
    for (number, name) in table.needed.enumerated() {
      let hint = table.positions[number]
      if hint < columns.count, decoder.text[columns[hint].name].elementsEqual(name) {
        image.append(columns[hint].value)
      } else if let place = columns.firstIndex(where: { decoder.text[$0.name].elementsEqual(name) }) {
        tables[Int(identifier)].positions[number] = place
        image.append(columns[place].value)
      } else {
        image.append(.unchanged)
      }
    }
  }
}

extension Wal2jsonDecoder {
  var tableName: TableName {
    TableName(schema: schema.map(string) ?? "", name: table.map(string) ?? "")
  }

  /// FNV-1a over the names and types of the columns.
  var shape: UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    for column in columns {
      for byte in text[column.name] { add(byte) }
      add(0)
      for byte in text[column.type] { add(byte) }
      add(0)
    }
    return hash
  }
}
