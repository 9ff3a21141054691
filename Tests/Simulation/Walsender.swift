import Invalidation

/// The server's process at the other end of one replication connection.
final class Walsender {
  unowned let world: World
  unowned let postgres: ModelPostgres
  let client: SourceConnection
  private let startLSN: UInt64
  private var nextCommit: Int
  private var current: [[UInt8]] = []
  private var currentIndex = 0
  private var currentCommit: Commit?
  private var knownRelations: Set<StreamedTable> = []
  /// Everything below was decoded and sent, or held nothing to send.
  private(set) var sentPosition: UInt64
  private var lastReply: Int64
  private var clientWrite: UInt64 = 0
  private var clientFlush: UInt64 = 0
  private var waitingForPing = false
  private var isAlive = true
  private var isScheduled = false
  private var random: Randomness

  init(world: World, client: SourceConnection, start: UInt64, random: Randomness) {
    self.world = world
    self.postgres = world.postgres
    self.client = client
    self.random = random
    self.startLSN = max(start, world.postgres.slot?.confirmed ?? 0)
    self.sentPosition = min(startLSN, world.postgres.walEnd)
    self.lastReply = world.now
    // A commit whose record begins before the start position is skipped (snapbuild.c, SnapBuildXactNeedsSkip).
    let start = startLSN
    self.nextCommit =
      world.postgres.commits.firstIndex { $0.commitLSN >= start } ?? world.postgres.commits.count
    world.trace { "walsender: starts at \(LSN(start)), WAL ends at \(LSN(world.postgres.walEnd))" }
  }

  /// Something may be sendable: WAL was written, the client read, or feedback came.
  func wake() {
    guard isAlive, !isScheduled else { return }
    isScheduled = true
    let delay = random.chance(900) ? random.between(20_000, 400_000) : random.between(400_000, 5_000_000)
    world.after(delay) { [self] in
      isScheduled = false
      run()
    }
  }

  func checkTimeout() {
    guard isAlive, postgres.frozenUntil <= world.now else { return }
    let silence = world.now - lastReply
    if silence >= 10 * Time.second {
      world.oracle.walsenderTimedOut(client)
      end(.unavailable, "terminating walsender process due to replication timeout")
    } else if silence >= 5 * Time.second, !waitingForPing {
      waitingForPing = true
      keepalive(replyRequested: true)
    }
  }

  func receive(_ feedback: Feedback) {
    guard isAlive else { return }
    if postgres.frozenUntil > world.now {
      world.scheduler.at(postgres.frozenUntil) { [self] in receive(feedback) }
      return
    }
    lastReply = world.now
    waitingForPing = false
    clientWrite = feedback.received.rawValue
    clientFlush = feedback.confirmed.rawValue
    if feedback.confirmed.rawValue != 0, var slot = postgres.slot {
      slot.confirmed = max(slot.confirmed, feedback.confirmed.rawValue)
      postgres.slot = slot
    }
    if feedback.replyRequested { keepalive(replyRequested: false) }
    if postgres.availability == .shuttingDown { wake() }
  }

  /// The process ends; the client learns of it unless it has gone itself.
  func end(_ kind: SourceFailure.Kind, _ message: String) {
    guard isAlive else { return }
    isAlive = false
    if postgres.walsender === self { postgres.walsenderGone() }
    client.replicationBroke(kind, message)
  }

  /// The client closed its end; the server notices a little later.
  func clientGone() {
    guard isAlive else { return }
    let delay = max(random.between(50_000, 3_000_000), postgres.frozenUntil - world.now)
    world.after(delay) { [self] in
      guard isAlive else { return }
      isAlive = false
      if postgres.walsender === self { postgres.walsenderGone() }
    }
  }

  private func run() {
    guard isAlive else { return }
    if postgres.frozenUntil > world.now {
      isScheduled = true
      world.scheduler.at(postgres.frozenUntil) { [self] in
        isScheduled = false
        run()
      }
      return
    }
    var sent = 0
    while client.unreadBytes < 256 * 1024 {
      if currentIndex < current.count {
        let message = current[currentIndex]
        currentIndex += 1
        sent += message.count
        if currentIndex == current.count { finishTransaction() }
        client.deliver(message, upTo: sentPosition)
        if currentIndex % 500 == 250 { keepalive(replyRequested: false) }
        continue
      }
      guard decodeNext() else { break }
    }
    caughtUp(sent)
  }

  private func caughtUp(_ sent: Int) {
    guard currentIndex >= current.count, nextCommit == postgres.commits.count else { return }
    if sentPosition < postgres.walEnd {
      sentPosition = postgres.walEnd
      // WalSndWaitForWal pings a client whose last feedback is older than what was sent.
      if clientWrite < sentPosition, random.chance(800) { keepalive(replyRequested: false) }
    }
    guard postgres.availability == .shuttingDown else { return }
    if clientFlush >= sentPosition {
      world.trace { "walsender: everything is confirmed, ends" }
      end(.unavailable, "the server ended the replication stream")
    } else {
      keepalive(replyRequested: true)
      wakeLater()
    }
  }

  private func wakeLater() {
    guard !isScheduled else { return }
    isScheduled = true
    world.after(Time.second) { [self] in
      isScheduled = false
      run()
    }
  }

  private func finishTransaction() {
    guard let commit = currentCommit else { return }
    sentPosition = commit.endLSN
    currentCommit = nil
    current = []
    currentIndex = 0
  }

  /// Encodes the next transaction that has something to send; false when there is none.
  private func decodeNext() -> Bool {
    guard nextCommit < postgres.commits.count else { return false }
    let commit = postgres.commits[nextCommit]
    nextCommit += 1
    guard commit.commitLSN >= startLSN else { return true }
    let visible = commit.changes.filter { change in
      // wal2json asks no publication.
      if world.options.mode == .wal2json { return true }
      return change.kind == .truncate
        ? change.tables.contains(where: \.isPublished) : change.table.isPublished && !change.isLeftOut
    }
    // PostgreSQL 15 sends nothing for a transaction without published changes, older ones Begin and Commit.
    if visible.isEmpty, !world.options.sendsEmptyTransactions, world.options.mode == .pgoutput {
      sentPosition = commit.endLSN
      return true
    }
    current = world.options.mode == .wal2json ? encodeJSON(commit) : encode(commit, visible)
    currentIndex = 0
    currentCommit = commit
    return true
  }

  private func encodeJSON(_ commit: Commit) -> [[UInt8]] {
    let time = world.serverClock(at: commit.time)
    var texts: [String] = []
    for change in commit.changes.flatMap({ StreamedChange.of($0, byPartition: world.options.partitioned) }) {
      if change.change.kind == .alter, world.options.mutation != .silentDDL {
        let content = "ALTER TABLE\n\"public\".\"\(change.change.table.name)\""
        texts.append(Wal2jsonEncoder.message(prefix: "cdcd.ddl", content))
      }
      if change.change.kind == .message, world.options.mutation != .silentMessages {
        texts.append(Wal2jsonEncoder.message(prefix: "cdcd", lines(change.change.keys)))
      }
      texts += Wal2jsonEncoder.change(change)
    }
    func frame(_ lsn: UInt64, _ text: String) -> [UInt8] {
      PgoutputEncoder.data(lsn, clock: world.serverClock) { $0.text(text) }
    }
    return [frame(commit.firstLSN, Wal2jsonEncoder.begin(commit, time: time))]
      + texts.map { frame(commit.firstLSN, $0) }
      + [frame(commit.endLSN, Wal2jsonEncoder.commit(commit, time: time))]
  }

  private func encode(_ commit: Commit, _ changes: [Change]) -> [[UInt8]] {
    let clock = world.serverClock
    let time = world.serverClock(at: commit.time)
    var messages: [[UInt8]] = []
    messages.reserveCapacity(changes.count + 3)
    func add(_ lsn: UInt64, _ write: (inout PgoutputEncoder) -> Void) {
      messages.append(PgoutputEncoder.data(lsn, clock: clock, write))
    }
    add(commit.firstLSN) { encoder in
      encoder.begin(finalLSN: commit.commitLSN, time: time, xid: UInt32(truncatingIfNeeded: commit.xid))
    }
    if random.chance(30) { add(commit.firstLSN) { $0.origin(commit.firstLSN) } }
    for change in changes.flatMap({ StreamedChange.of($0, byPartition: world.options.partitioned) }) {
      encode(change, commit, add)
    }
    add(commit.endLSN) { $0.commit(lsn: commit.commitLSN, end: commit.endLSN, time: time) }
    if random.chance(20) {
      add(commit.endLSN) { $0.message(commit.endLSN, transactional: false, prefix: "app", "tick") }
    }
    return messages
  }

  private func encode(
    _ streamed: StreamedChange, _ commit: Commit, _ add: (UInt64, (inout PgoutputEncoder) -> Void) -> Void
  ) {
    let change = streamed.change
    if change.kind == .message {
      guard world.options.mutation != .silentMessages else { return }
      return add(commit.firstLSN) {
        $0.message(commit.firstLSN, transactional: true, prefix: "cdcd", lines(change.keys))
      }
    }
    for table in streamed.tables where change.kind != .alter && knownRelations.insert(table).inserted {
      if random.chance(100) { add(0) { $0.type() } }
      add(0) { $0.relation(table, isBare: change.isBare && table.partition != nil) }
    }
    if random.chance(10) {
      add(commit.firstLSN) { $0.message(commit.firstLSN, transactional: true, prefix: "app", "hello") }
    }
    guard change.kind == .alter else { return add(commit.firstLSN) { $0.change(streamed) } }
    if world.options.mutation != .silentDDL {
      let content = "ALTER TABLE\n\"public\".\"\(change.table.name)\""
      add(commit.firstLSN) {
        $0.message(commit.firstLSN, transactional: true, prefix: "cdcd.ddl", content)
      }
    }
    // The table is described anew before its next change.
    knownRelations = knownRelations.filter { $0.table != change.table }
  }

  private func lines(_ keys: [String]) -> String { keys.map { "key " + $0 }.joined(separator: "\n") }

  private func keepalive(replyRequested: Bool) {
    client.deliver(
      PgoutputEncoder.keepalive(sentPosition, clock: world.serverClock, replyRequested: replyRequested),
      upTo: sentPosition)
  }
}
