import Testing

@testable import Invalidation

/// Rows of `cdcd.outbox` as the triggers of `sql/outbox.sql` wrote them on PostgreSQL 15.
struct OutboxDecoderTests {
  static let changes = #"""
    [{"new": {"id": "1", "tags": null, "email": "C\"\n é"}, "old": {"id": "1", "tags": "{a,\"b c\"}", "email": "A"}}, {"both": {"id": "2", "tags": "", "email": "b"}}, {"old": {"id": "3"}}]
    """#
  private static let columns = ["email", "id", "tags"].map { Array($0.utf8) }

  /// What both images hold, in the order of the columns.
  private func decode(_ text: String) throws -> [String] {
    var decoder = OutboxDecoder()
    var images = RowImages()
    var found: [String] = []
    let bytes = Array(text.utf8)
    let span = bytes.span
    decoder.begin(span)
    var cursor = JSONCursor(span)
    try cursor.take(UInt8(ascii: "["))
    repeat {
      try decoder.change(&cursor, columns: Self.columns, into: &images)
      found.append(describe(images.old, decoder) + " > " + describe(images.new, decoder))
    } while try cursor.goesOn(until: UInt8(ascii: "]"))
    try cursor.end()
    return found
  }

  private func describe(_ image: RowImage, _ decoder: OutboxDecoder) -> String {
    guard image.isPresent else { return "none" }
    return (0..<image.count).compactMap(image.column).map { slice in
      if slice.isNull { return "NULL" }
      if slice.isUnchanged { return "?" }
      return String(
        decoding: decoder.text[Int(slice.offset)..<Int(slice.offset + slice.length)], as: UTF8.self)
    }.joined(separator: "|")
  }

  @Test func imagesInTheOrderOfTheColumns() throws {
    #expect(
      try decode(Self.changes) == [
        "A|1|{a,\"b c\"} > C\"\n é|1|NULL", "b|2| > b|2|", "?|3|? > none",
      ])
  }

  @Test func refusesWhatNoTriggerWrites() {
    for text in [
      "", "[", "[{}]", "[1]", #"[{"row": {"id": "1"}}]"#, #"[{"new": {"id": 1}}]"#, #"[{"new": "1"}]"#,
      #"[{"new": {"id": "1"}}"#, #"[{"new": {"id": "1"}}] x"#,
    ] {
      #expect(throws: DecodeError.self, "\(text)") { try decode(text) }
    }
  }

  @Test func anEndAnywhereIsAnError() {
    for length in 0..<Self.changes.utf8.count {
      let text = String(decoding: Self.changes.utf8.prefix(length), as: UTF8.self)
      #expect(throws: DecodeError.self, "\(text)") { try decode(text) }
    }
  }

  @Test func aSnapshotIsPrintedAsItWasRead() {
    for text in ["750:750:", "10:20:10,14,15", "4294967290:4294967310:4294967290,4294967297"] {
      #expect(TransactionSnapshot(text)?.description == text)
    }
  }
}
