import Testing

@testable import Invalidation

@Suite struct PositionTests {
  @Test(arguments: ["0/0", "0/16B3748", "FFFFFFFF/FFFFFFFF", "1/0"]) func lsnRoundTrip(_ text: String) {
    #expect(LSN(text)?.description == text)
    var bytes: [UInt8] = []
    if let lsn = LSN(text) { bytes.append(lsn) }
    #expect(bytes == Array(text.utf8))
  }

  @Test func aPageHeaderIsNoPosition() {
    #expect(LSN(0x197_E018).beforePageHeader == LSN(0x197_E000))
    #expect(LSN(0x197_E000).beforePageHeader == LSN(0x197_E000))
    #expect(LSN(0x197_E020).beforePageHeader == LSN(0x197_E020))
    #expect(LSN(0x197_DFF8).beforePageHeader == LSN(0x197_DFF8))
  }

  @Test(arguments: ["", "/", "0", "0/", "/0", "0/0/0", "g/0", "0/123456789", "+1/0", "0x1/0", " 0/0"])
  func refusesOtherTexts(_ text: String) {
    #expect(LSN(text) == nil)
  }

  @Test func snapshotSeesCommittedOnly() throws {
    let snapshot = try #require(TransactionSnapshot("100:110:100,105"))
    #expect(snapshot.sees(99))
    #expect(!snapshot.sees(100))
    #expect(snapshot.sees(104))
    #expect(!snapshot.sees(105))
    #expect(snapshot.sees(109))
    #expect(!snapshot.sees(110))
    #expect(!snapshot.sees(1_000))
  }

  @Test func snapshotKnowsWraparound() throws {
    // Epoch 1, just after the 32-bit counter wrapped: 4294967290 is old, 3 is in progress.
    let snapshot = try #require(TransactionSnapshot("4294967299:4294967301:4294967299"))
    #expect(snapshot.sees(4_294_967_290))
    #expect(!snapshot.sees(3))
    #expect(snapshot.sees(4))
    #expect(!snapshot.sees(5))
  }

  @Test(arguments: ["", "1:2", "a:2:", "1:2:x", "1:2:3:4"]) func refusesOtherSnapshots(_ text: String) {
    #expect(TransactionSnapshot(text) == nil)
  }

  @Test func watermarkRoundTrip() throws {
    let watermark = Watermark(
      system: "7412", timeline: 3, crashMarker: "-", rules: "9f", run: "c0ffee", batch: 12, applied: LSN(5),
      settled: LSN(0x1_0000_0001), openFlushes: ["a", "b"])
    let text = String(decoding: watermark.text, as: UTF8.self)
    #expect(
      text
        == "cdcd1 system=7412 timeline=3 crash=- rules=9f replicas=- run=c0ffee batch=12 applied=0/5"
        + " settled=1/1 flush=a,b"
    )
    #expect(Watermark(watermark.text) == watermark)
    var withReplicas = watermark
    withReplicas.replicas = ["0a:1b", "2c:3d"]
    #expect(Watermark(withReplicas.text) == withReplicas)
    for length in 0..<(watermark.text.count - 3) {
      #expect(Watermark(Array(watermark.text.prefix(length))) != watermark)
    }
    #expect(Watermark(Array("garbage".utf8)) == nil)
  }

  @Test func ledgerHoldsBackBehindWaiting() {
    var ledger = Ledger(position: LSN(1))
    #expect(!ledger.canAdvance)
    ledger.append(LSN(10))
    ledger.append(LSN(20), waiting: 1)
    ledger.append(LSN(30))
    ledger.append(LSN(40), waiting: 2)
    #expect(ledger.advance() == LSN(10))
    ledger.finish(waiting: 2)
    #expect(ledger.advance() == LSN(10))
    ledger.finish(waiting: 1)
    #expect(ledger.advance() == LSN(40))
    #expect(!ledger.canAdvance)
  }

  @Test func ledgerStaysSmallBehindOneParked() {
    var ledger = Ledger(position: LSN(1))
    ledger.append(LSN(2), waiting: 1)
    for number in 2...5_000 as ClosedRange<UInt64> {
      ledger.append(LSN(number * 10), waiting: number)
      if number % 3 != 0 { ledger.finish(waiting: number) }
      if number % 3 == 2 { ledger.finish(waiting: number / 3 * 3) }
      #expect(ledger.count <= 5)
    }
    #expect(ledger.advance() == LSN(1))
    ledger.finish(waiting: 1)
    #expect(ledger.advance() == LSN(50_000))
    #expect(ledger.count == 0)
  }

  @Test func ledgerFindsEveryOrderOfFinishing() {
    var random = SplitMix64(seed: 7)
    for _ in 0..<300 {
      var ledger = Ledger(position: .zero)
      let count = UInt64.random(in: 1...12, using: &random)
      for number in 1...count {
        ledger.append(LSN(number * 2), waiting: number)
        if Bool.random(using: &random) { ledger.append(LSN(number * 2 + 1)) }
      }
      var unfinished = Set(1...count)
      for number in (1...count).shuffled(using: &random) {
        ledger.finish(waiting: number)
        unfinished.remove(number)
        let position = ledger.advance()
        if let first = unfinished.min() {
          #expect(position < LSN(first * 2) && position.rawValue + 2 >= (first - 1) * 2)
        } else {
          #expect(position >= LSN(count * 2) && ledger.count == 0)
        }
      }
    }
  }

  @Test func confirmedStaysBehind() {
    var confirmed = ConfirmedPosition(retain: .seconds(60))
    let second: Int64 = 1_000_000_000
    confirmed.restart(at: LSN(5))
    for time in 0..<200 {
      confirmed.note(LSN(UInt64(100 + time)), at: Int64(time) * second)
      let expected = time < 60 ? 5 : UInt64(100 + time - 60)
      #expect(confirmed.position == LSN(expected))
    }
  }

  @Test func confirmedFollowsAtOnceWithoutRetention() {
    var confirmed = ConfirmedPosition(retain: .zero)
    confirmed.note(LSN(7), at: 1)
    #expect(confirmed.position == LSN(7))
  }

  @Test func backoffIsCappedAndJittered() {
    var backoff = Backoff()
    var random = SplitMix64(seed: 1)
    var delays: [Int64] = []
    for _ in 0..<20 { delays.append(backoff.next(&random)) }
    #expect((25_000_000...50_000_000).contains(delays[0]))
    #expect(delays.allSatisfy { $0 <= 3_000_000_000 })
    #expect(Set(delays.suffix(10)).count == 10)
    backoff.reset()
    #expect(backoff.next(&random) <= 50_000_000)
  }
}
