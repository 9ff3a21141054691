import Testing

@testable import Invalidation

@Suite struct PgoutputDecoderTests {
  private func decode(_ bytes: [UInt8]) throws -> (PgoutputDecoder.Message, RowImages) {
    var images = RowImages()
    let message = try PgoutputDecoder.decode(bytes.span, at: 0, into: &images)
    return (message, images)
  }

  private static let samples: [[UInt8]] = [
    TestMessage.begin(xid: 4_294_967_295), TestMessage.commit(end: 0x1_0000_0000),
    TestMessage.relation(testRelation(["id!", "email"])), TestMessage.insert(["1", nil, .unchanged]),
    TestMessage.update(key: ["1", nil], new: ["2", "x"]),
    TestMessage.update(old: ["1", "y"], new: ["1", "x"]),
    TestMessage.update(new: ["1", "x"]), TestMessage.delete(key: ["1", nil]), TestMessage.truncate([7, 8]),
    TestMessage.logicalMessage(),
  ]

  @Test func readsTransactionFrames() throws {
    #expect(
      try decode(TestMessage.begin(xid: 4_294_967_295)).0
        == .begin(xid: .max, position: LSN(0x10), commitTime: 1_234))
    #expect(try decode(TestMessage.commit(end: 0x1_0000_0000)).0 == .commit(end: LSN(0x1_0000_0000)))
    #expect(try decode(TestMessage.truncate([7, 8])).0 == .truncate(relations: [7, 8]))
    #expect(
      try decode(TestMessage.logicalMessage()).0
        == .logicalMessage(prefix: "cdcd", isTransactional: true, content: 19..<22))
    #expect(
      try decode(TestMessage.logicalMessage(prefix: "", [], isTransactional: false)).0
        == .logicalMessage(prefix: "", isTransactional: false, content: 15..<15))
  }

  @Test func readsRelations() throws {
    let relation = testRelation(["id!", "Größe"], name: "Order Items")
    #expect(try decode(TestMessage.relation(relation)).0 == .relation(relation))
  }

  @Test func readsRowImages() throws {
    let (message, images) = try decode(TestMessage.update(key: ["1", nil], new: ["22", .unchanged]))
    #expect(message == .update(relation: 7))
    #expect(images.oldIsKeyOnly)
    #expect(images.old.column(0)?.length == 1)
    #expect(images.old.column(1)?.isNull == true)
    #expect(images.new.column(0)?.length == 2)
    #expect(images.new.column(1)?.isUnchanged == true)
    #expect(images.new.column(2) == nil)
  }

  @Test(arguments: samples.indices) func refusesEveryTruncation(_ index: Int) throws {
    let whole = PgoutputDecoderTests.samples[index]
    _ = try decode(whole)
    for length in 0..<whole.count {
      #expect(throws: DecodeError.self, "cut at \(length)") { try decode(Array(whole.prefix(length))) }
    }
    #expect(throws: DecodeError.self) { try decode(whole + [0]) }
  }

  @Test func survivesEveryChangedByte() {
    var decoded = 0
    for sample in PgoutputDecoderTests.samples {
      for position in sample.indices {
        for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF, UInt8(ascii: "t")] {
          var changed = sample
          changed[position] = value
          if (try? decode(changed)) != nil { decoded += 1 }
        }
      }
    }
    // Many changed bytes still make a message; what matters is that none of them trapped.
    #expect(decoded > 0)
  }

  @Test func readsFrames() throws {
    let data = TestMessage.data([1, 2, 3], serverEnd: 77)
    #expect(try ReplicationFrame.decode(data.span) == .data(serverEnd: LSN(77), payload: 25))
    let keepalive = TestMessage.keepalive(end: 88, reply: true)
    #expect(try ReplicationFrame.decode(keepalive.span) == .keepalive(end: LSN(88), replyRequested: true))
    #expect(throws: DecodeError.self) { try ReplicationFrame.decode([UInt8(ascii: "x")].span) }
    #expect(throws: DecodeError.self) { try ReplicationFrame.decode([UInt8]().span) }
  }
}
