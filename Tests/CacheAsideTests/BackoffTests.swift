import Testing

@testable import CacheAside

@Suite struct BackoffTests {
  @Test("each delay lies between half and the whole of the doubled, capped one, and they differ")
  func bounds() {
    var backoff = Backoff(first: .milliseconds(10), cap: .milliseconds(250))
    let wholes = [10, 20, 40, 80, 160, 250, 250] + Array(repeating: 250, count: 100)
    var seen: Set<Duration> = []
    for whole in wholes {
      let delay = backoff.next()
      #expect(delay >= .milliseconds(whole) / 2 && delay <= .milliseconds(whole))
      seen.insert(delay)
    }
    #expect(seen.count > 90)
    #expect(backoff.tries == wholes.count)
    backoff.reset()
    #expect(backoff.next() <= .milliseconds(10))
  }

  @Test(
    "times go to Redis in whole milliseconds, rounded up, never none and never too many",
    arguments: [
      (Duration.zero, Int64(1)), (.seconds(-5), 1), (.nanoseconds(1), 1), (.milliseconds(1), 1),
      (.microseconds(1_001), 2), (.seconds(60), 60_000), (.seconds(Int64.max), 100_000_000_000_000),
    ])
  func milliseconds(_ duration: Duration, _ milliseconds: Int64) {
    #expect(duration.wholeMilliseconds == milliseconds)
  }

  @Test("tokens are 16 bytes and never the same")
  func tokens() {
    let tokens = (0..<1_000).map { _ in LeaseToken().bytes }
    #expect(tokens.allSatisfy { $0.count == 16 })
    #expect(Set(tokens).count == tokens.count)
  }
}
