@testable import Invalidation

extension EntryPoint {
  /// One message of the pgoutput plugin.
  static let pgoutput = EntryPoint(name: "pgoutput") { bytes in
    var images = RowImages()
    let message: PgoutputDecoder.Message
    do throws(DecodeError) {
      message = try PgoutputDecoder.decode(bytes.span, at: 0, into: &images)
    } catch {
      return try require(0...bytes.count ~= error.offset, "\(error) is outside of the message")
    }
    switch message {
    case .insert, .update, .delete:
      for image in [images.old, images.new] where image.isPresent { try requireSlices(of: image, in: bytes) }
    case .logicalMessage(_, _, let content):
      try require(content.upperBound <= bytes.count, "the content lies outside of the message")
    case .begin, .commit, .relation, .truncate, .irrelevant: break
    }
    for other in [Array(bytes.dropLast()), bytes + [0]] {
      var images = images
      let isRead = (try? PgoutputDecoder.decode(other.span, at: 0, into: &images)) != nil
      try require(!isRead, "a byte less or more was read as well")
    }
    try require(
      try PgoutputDecoder.decode(bytes.span, at: 0, into: &images) == message,
      "a second time it says otherwise")
  }

  private static func requireSlices(of image: RowImage, in bytes: [UInt8]) throws {
    for index in 0..<image.count {
      guard let slice = image.column(index) else { throw Violation("an image lacks the column \(index)") }
      let isMark = slice.isNull || slice.isUnchanged
      try require(
        isMark || slice.length >= 0 && Int(slice.offset) + Int(slice.length) <= bytes.count,
        "the column \(index) lies outside of the message")
    }
  }
}
