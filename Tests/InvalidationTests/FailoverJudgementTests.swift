import Testing

@testable import Invalidation

/// Whether a stream may go on behind a watermark of an earlier timeline: only where every condition holds.
@Suite struct FailoverJudgementTests {
  /// Timeline 2 began at 0/500; cdcd had applied up to 0/450 and settled up to 0/400.
  private func facts(_ adjust: (inout SourceFacts) -> Void = { _ in }) throws -> SourceFacts {
    var facts = SourceFacts(
      systemIdentifier: "7412", timeline: 2, crashMarker: "promoted", flushLSN: LSN(0x600),
      insertLSN: LSN(0x600), confirmedFlush: LSN(0x300), slotCreated: false, asynchronousCommit: false,
      publication: [:], unpublished: [], snapshot: TransactionSnapshot(xmin: 9, xmax: 9, inProgress: []),
      partitioned: [], bareTables: [:],
      history: try #require(TimelineHistory("1\t0/500\tno recovery target specified\n")),
      isSlotSynchronized: true)
    adjust(&facts)
    return facts
  }

  private func judge(
    timeline: UInt32 = 1, applied: UInt64 = 0x450, settled: UInt64 = 0x400, _ facts: SourceFacts,
    failoverMayLose: Bool = false
  ) -> Judgement {
    let watermark = Watermark(
      system: "7412", timeline: timeline, crashMarker: "old", rules: "-", run: "r", batch: 1,
      applied: LSN(applied), settled: LSN(settled), openFlushes: [])
    return Watermark.judge(
      watermark.text, facts, crashMayLose: failoverMayLose, failoverMayLose: failoverMayLose)
  }

  @Test func aPromotedServerThatHasEverythingIsFollowed() throws {
    #expect(try judge(facts()) == .resume(at: LSN(0x400)))
    #expect(try judge(applied: 0x500, settled: 0x500, facts()) == .resume(at: LSN(0x500)), "to the very end")
    let history = try #require(TimelineHistory("1 0/500 a\n2 0/580 b"))
    let twice = try facts {
      $0.timeline = 3
      $0.history = history
    }
    #expect(judge(twice) == .resume(at: LSN(0x400)))
    #expect(judge(timeline: 2, applied: 0x580, settled: 0x580, twice) == .resume(at: LSN(0x580)))
  }

  @Test func nothingIsFollowedThatNobodyVouchesFor() throws {
    #expect(try judge(facts(), failoverMayLose: true) == .gap(.timelineChanged))
  }

  @Test func aWatermarkBeyondTheSwitchIsAGap() throws {
    #expect(try judge(applied: 0x501, settled: 0x501, facts()) == .gap(.timelineChanged))
    #expect(try judge(applied: 0x501, facts()) == .gap(.timelineChanged), "whatever is settled")
  }

  @Test func aSlotThatWasNotSynchronizedIsAGap() throws {
    #expect(try judge(facts { $0.isSlotSynchronized = false }) == .gap(.timelineChanged))
    #expect(try judge(facts { $0.slotCreated = true }) == .gap(.newSlot))
  }

  @Test func aSlotBeyondTheWatermarkIsAGap() throws {
    #expect(try judge(facts { $0.confirmedFlush = LSN(0x401) }) == .gap(.watermarkBehindSlot))
  }

  @Test func aTimelineThatTheServerDoesNotComeFromIsAGap() throws {
    #expect(try judge(facts { $0.history = TimelineHistory() }) == .gap(.timelineChanged))
    #expect(try judge(timeline: 7, facts()) == .gap(.timelineChanged))
    // The old primary is back, and the watermark is of the promoted server.
    let old = try facts {
      $0.timeline = 1
      $0.history = TimelineHistory()
    }
    #expect(judge(timeline: 2, old) == .gap(.timelineChanged))
  }

  @Test func aHistoryIsReadAsPostgreSQLWritesIt() throws {
    let text = """
      # a comment
      1\t0/16B3748\tno recovery target specified

      2\t1/0\tbefore 2024-01-31 12:00:00+00
      """
    let history = try #require(TimelineHistory(text))
    #expect(history.end(of: 1) == LSN(0x16B_3748))
    #expect(history.end(of: 2) == LSN(0x1_0000_0000))
    #expect(history.end(of: 3) == nil)
    #expect(TimelineHistory("") == TimelineHistory())
  }

  @Test(arguments: ["1", "one\t0/5\tx", "1\tnowhere\tx", "1 0/5 x\n2"])
  func aMalformedHistoryIsNone(text: String) { #expect(TimelineHistory(text) == nil) }
}
