import Testing

@testable import Invalidation

/// What real servers sent, cut off: the stream must never go on as if nothing had been.
@Suite struct CapturedMessageTests {
  @Test(
    "a message that ends after any of its bytes counts as malformed, and flushes every rule",
    arguments: [(EntryPoint.pgoutput, SourceMode.pgoutput), (EntryPoint.wal2json, .wal2json)])
  func beginnings(entryPoint: EntryPoint, plugin: SourceMode) throws {
    let messages = try Corpus(of: entryPoint).seeds
    #expect(messages.count > 20)
    var harness = try EngineHarness(plugin)
    for message in messages {
      for length in 0..<message.count {
        var harness = harness
        try harness.perform(.message(Array(message[..<length])))
        #expect(
          harness.engine.statistics.malformedMessages == 1, "\(length) bytes of \(Corpus.line(message))")
        #expect(harness.engine.flushes.open.map(\.reason) == Array(repeating: .malformedMessage, count: 5))
      }
    }
    for message in messages {
      try harness.perform(.message(message))
      try harness.perform(.answer([]))
    }
    #expect(harness.engine.statistics.transactions > 0)
  }
}
