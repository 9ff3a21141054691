@testable import Invalidation

extension EntryPoint {
  /// The changes in one row of the outbox.
  static let outbox = EntryPoint(
    name: "outbox",
    words: [
      #"{"new":"#, #"{"old":"#, #"{"both":"#, #""id":"#, #""email":"#, "null", "\\ud83d\\ude00",
      #"{"id":"1"},"#, "[[[[",
      "{\"a\":",
    ]
  ) { bytes in
    var decoder = OutboxDecoder()
    var images = RowImages()
    let span = bytes.span
    decoder.begin(span)
    var cursor = JSONCursor(span)
    do throws(DecodeError) {
      try cursor.take(UInt8(ascii: "["))
      repeat {
        try decoder.change(&cursor, columns: outboxColumns, into: &images)
        guard areSlices(images, of: decoder) else { break }
      } while try cursor.goesOn(until: UInt8(ascii: "]"))
      try cursor.end()
    } catch {
      return try require(0...bytes.count ~= error.offset, "\(error) is outside of the row")
    }
    try require(areSlices(images, of: decoder), "a value lies outside of the text")
  }

  private static let outboxColumns = ["email", "id"].map { Array($0.utf8) }

  private static func areSlices(_ images: RowImages, of decoder: OutboxDecoder) -> Bool {
    [images.old, images.new].filter(\.isPresent).allSatisfy { image in
      let slices = (0..<image.count).compactMap(image.column)
      return slices.count == outboxColumns.count
        && slices.allSatisfy { slice in
          slice.isNull || slice.isUnchanged
            || slice.length >= 0 && Int(slice.offset) + Int(slice.length) <= decoder.text.count
        }
    }
  }
}
