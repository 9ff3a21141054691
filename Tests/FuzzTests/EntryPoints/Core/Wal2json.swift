@testable import Invalidation

extension EntryPoint {
  /// One message of the wal2json plugin.
  static let wal2json = EntryPoint(
    name: "wal2json",
    words: [
      #""action":"#, #""schema":"#, #""table":"#, #""columns":["#, #""identity":["#, #""name":"#, #""type":"#,
      #""value":"#, #""prefix":"cdcd.ddl""#, #""prefix":"cdcd""#, #""bytea""#, #""numeric(4,1)""#, "null",
      "true", "-1.5e300", "\\ud83d\\ude00",
      #"{"name":"a","type":"text","value":"x"},"#, "[[[[", "{\"a\":",
    ]
  ) { bytes in
    var decoder = Wal2jsonDecoder()
    do throws(DecodeError) {
      try decoder.decode(bytes.span, at: 0)
    } catch {
      return try require(0...bytes.count ~= error.offset, "\(error) is outside of the message")
    }
    try requireSlices(of: decoder)
    let whole = bytes.reversed().drop { $0 <= 0x20 }.reversed()
    for other in [Array(whole.dropLast()), bytes + [UInt8(ascii: "}")]] {
      var decoder = decoder
      let isRead = (try? decoder.decode(other.span, at: 0)) != nil
      try require(!isRead, "a byte less or more was read as well")
    }
    let first = decoder
    try decoder.decode(bytes.span, at: 0)
    try require(
      decoder.text == first.text && decoder.shape == first.shape && decoder.tableName == first.tableName,
      "a second time it says otherwise")
  }

  private static func requireSlices(of decoder: Wal2jsonDecoder) throws {
    let ranges = [decoder.schema, decoder.table, decoder.prefix, decoder.content].compactMap { $0 }
    let columns = decoder.columns + decoder.identity
    for range in ranges + columns.flatMap({ [$0.name, $0.type] }) {
      try require(range.upperBound <= decoder.text.count, "a name lies outside of the text")
    }
    for slice in columns.map(\.value) where !slice.isNull && !slice.isUnknown {
      try require(
        slice.length >= 0 && Int(slice.offset) + Int(slice.length) <= decoder.text.count,
        "a value lies outside of the text")
    }
  }
}
