import Invalidation
import Testing

/// The model PostgreSQL, held against what PostgreSQL 15 does.
struct ModelPostgresTests {
  private let world: World

  init() {
    var options = WorldOptions()
    options.readers = 0
    options.nextXid = 0x1_FFFF_FFFE
    world = World(seed: 1, options: options)
  }

  private var insertion: Change {
    Change(kind: .insert, table: .orders, new: Row(id: 1, texts: ["1", "2", nil]))
  }

  @Test func aCommitIsInTheWALBeforeItIsVisible() {
    let postgres = world.postgres
    let first = postgres.assignXid()
    let second = postgres.assignXid()
    let commit = postgres.writeCommit(xid: first, firstLSN: 1, changes: [insertion])
    _ = postgres.writeCommit(xid: second, firstLSN: 1, changes: [insertion])
    #expect(commit.endLSN < postgres.walEnd)
    #expect(!postgres.snapshot().sees(UInt32(truncatingIfNeeded: first)))
    postgres.leaveProcArray(xid: second)
    #expect(!postgres.snapshot().sees(UInt32(truncatingIfNeeded: first)))
    #expect(postgres.snapshot().sees(UInt32(truncatingIfNeeded: second)))
    postgres.leaveProcArray(xid: first)
    #expect(postgres.snapshot().sees(UInt32(truncatingIfNeeded: first)))
    #expect(postgres.inProgress.isEmpty)
  }

  @Test func xidsSkipTheReservedOnesAtTheWraparound() {
    let xids = (0..<4).map { _ in world.postgres.assignXid() }
    #expect(xids == [0x1_FFFF_FFFE, 0x1_FFFF_FFFF, 0x2_0000_0003, 0x2_0000_0004])
  }

  @Test func currentTransactionIsOverAtOnce() {
    let xid = world.postgres.currentTransaction()
    let snapshot = world.postgres.snapshot()
    #expect(snapshot.xmin == xid + 1)
    #expect(snapshot.inProgress.isEmpty)
  }

  @Test func theHistoryOfTheWALIsKept() {
    world.postgres.writeWAL(100)
    let end = world.postgres.walEnd
    #expect(world.postgres.walEnd(at: 0) == end)
    #expect(world.postgres.walEnd(at: -1) == 0)
  }

  /// PostgreSQL manual, chapter 55.9, byte by byte.
  @Test func messagesAreEncodedAsTheManualSays() {
    let data = PgoutputEncoder.data(0x0102_0304_0506_0708, clock: 9) {
      $0.begin(finalLSN: 10, time: 11, xid: 12)
    }
    let expected: [UInt8] =
      [0x77, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9]
      + [0x42, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 12]
    #expect(data == expected)
    let keepalive = PgoutputEncoder.keepalive(5, clock: 6, replyRequested: true)
    #expect(keepalive == [0x6B, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 1])
  }

  @Test func tuplesCarryNullTextAndUnchangedToast() {
    var encoder = PgoutputEncoder()
    var change = Change(
      kind: .update, table: .orders, old: Row(id: 1, texts: ["1", "5", "x"]),
      new: Row(id: 2, texts: ["2", nil, "x"]))
    change.toastUnchanged = true
    encoder.change(StreamedChange(change: change, tables: [StreamedTable(table: .orders)]))
    let head: [UInt8] = [0x55, 0, 0, 0x40, 0x07]
    let key: [UInt8] = [0x4B, 0, 3, 0x74, 0, 0, 0, 1, 0x31, 0x6E, 0x6E]
    let new: [UInt8] = [0x4E, 0, 3, 0x74, 0, 0, 0, 1, 0x32, 0x6E, 0x75]
    #expect(encoder.bytes == head + key + new)
  }

  @Test func keysAreMappedByHand() {
    let change = Change(
      kind: .update, table: .users, old: Row(id: 1, texts: ["1", "A@x", "Ann", "t"]),
      new: Row(id: 1, texts: ["1", nil, "Ann", "f"]))
    let keys = KeyMapping.keys(of: change)
    #expect(keys.required == ["user:1", "mail:a@x", "user:1", "vip:1", "edit:1", "regular:1", "edit:1"])
    #expect(keys.allowed == ["regular:1", "vip:1"])
  }

  @Test func aWorldOfTheSameSeedIsTheSame() {
    func run() -> [String] {
      var options = WorldOptions(seed: 5)
      options.instances = 0
      options.faults = []
      let world = World(seed: 5, options: options, tracing: true)
      world.begin()
      world.advance(to: Time.second)
      world.scheduler.clear()
      return world.traceLines
    }
    let lines = run()
    #expect(lines.count > 10)
    #expect(lines == run())
  }
}
