import Glibc
import Invalidation
import PostgresSource

/// Reads, prints, and confirms what is printed, so that the server keeps no WAL for longer than that takes.
struct TailLoop {
  let stream: ReplicationConnection
  let catalog: CatalogSession
  let stop: Wakeup
  var reader: ChangeReader
  var format: TailFormat
  /// Ends after so many changes; nil is for ever.
  var count: Int?
  let report: (String) -> Void

  private var output = LineOutput()
  private var poll = PollSet(places: Place.count)
  /// Everything before it is printed.
  private var printed = LSN.zero
  private var isAnswerDue = false
  private var confirmedAt = Clock.monotonic()
  private var heardAt = Clock.monotonic()

  private enum Place {
    static let stream = 0
    static let stop = 1
    static let output = 2
    static let count = 3
  }

  /// Nanoseconds. The walsender waits 10 s for feedback (`PostgresSourceConfiguration`).
  private enum Interval {
    static let feedback: Int64 = 3_000_000_000
    /// After so much silence the server is asked whether it is there.
    static let silence: Int64 = 5_000_000_000
    /// And after so much more counts as gone.
    static let lost: Int64 = 30_000_000_000
    /// How long the reader of the output may take nothing: the server keeps all WAL meanwhile.
    static let blocked: Int64 = 60_000_000_000
  }

  /// Lines of so many bytes are written before more is read.
  private static let outputLimit = 1 << 16

  init(
    stream: ReplicationConnection, catalog: CatalogSession, stop: Wakeup, reader: ChangeReader,
    format: TailFormat, count: Int?, report: @escaping (String) -> Void
  ) {
    self.stream = stream
    self.catalog = catalog
    self.stop = stop
    self.reader = reader
    self.format = format
    self.count = count
    self.report = report
  }

  mutating func run() throws {
    while !stop.isStopRequested {
      try read()
      try write()
      printed = reader.end
      if count == 0 { return }
      try confirmIfDue()
      try wait()
    }
  }

  // MARK: Reading

  private mutating func read() throws {
    var failure: (any Error)?
    try stream.takeArrived { message in
      heardAt = Clock.monotonic()
      do { try take(message) } catch { failure = error }
      // What is filtered out fills no output, and must not hold up the feedback either.
      return failure == nil && count != 0 && output.byteCount < Self.outputLimit && !stop.isStopRequested
        && !isConfirmationDue(at: heardAt)
    }
    if let failure { throw failure }
  }

  private mutating func take(_ message: Span<UInt8>) throws {
    do {
      switch try readPlaced(message) {
      case .changes(let changes): try changes.forEach { try print($0) }
      case .keepalive(let replyRequested): isAnswerDue = isAnswerDue || replyRequested
      case .refusedMessage(let problem):
        if format.wantsMessages { report("A message that names keys is refused: \(problem).") }
      case .unplaced: break
      }
    } catch let error as DecodeError {
      report("A change could not be read, for which the daemon flushes every rule: \(error)")
    }
  }

  private mutating func readPlaced(_ message: Span<UInt8>) throws -> ChangeReader.Step {
    while true {
      let step = try reader.read(message)
      guard case .unplaced(let table, let xid) = step else { return step }
      reader.place(try lineage(of: table, after: xid))
    }
  }

  /// Commits come before the catalogue shows them. One that hangs, as behind a synchronous standby, is not waited for.
  private mutating func lineage(of table: TableReference, after xid: UInt32?) throws -> TableLineage? {
    let end = Clock.monotonic() + 2_000_000_000
    while true {
      let (lineage, snapshot) = try catalog.lineage(of: table)
      if xid.map(snapshot.sees) ?? true || Clock.monotonic() > end || stop.isStopRequested { return lineage }
      usleep(20_000)
      try confirmIfDue()
    }
  }

  private mutating func print(_ change: StreamedChange) throws {
    guard count != 0, let lines = try format.lines(change) else { return }
    output.append(lines)
    count = count.map { $0 - 1 }
  }

  // MARK: Writing and confirming

  private mutating func write() throws {
    guard output.byteCount > 0 else { return }
    var output = output
    try output.write { blocked in
      if stop.isStopRequested { throw TailConnection.Stopped() }
      guard blocked < Interval.blocked else {
        throw Tail.Failure(
          description:
            "Nobody has read the output for \(Interval.blocked / 1_000_000_000) s: cdcd tail ends, so that the"
            + " server need not keep its WAL for it.", isServerAway: false)
      }
      // Who reads nothing hears nothing.
      heardAt = Clock.monotonic()
      try confirmIfDue()
    }
    self.output = output
  }

  private func isConfirmationDue(at now: Int64) -> Bool {
    isAnswerDue || now >= confirmedAt + Interval.feedback
  }

  private mutating func confirmIfDue() throws {
    let now = Clock.now()
    if stream.wantsWrite { try stream.flush() }
    guard isConfirmationDue(at: now.monotonic) else { return }
    let silence = now.monotonic - heardAt
    guard silence < Interval.silence + Interval.lost else {
      throw SourceFailure(
        .unavailable, "PostgreSQL: the server has been silent for \(silence / 1_000_000_000) s")
    }
    try stream.send(
      Feedback(received: printed, confirmed: printed, replyRequested: silence >= Interval.silence),
      wall: now.wall)
    isAnswerDue = false
    confirmedAt = now.monotonic
  }

  private mutating func wait() throws {
    let events = Int16(POLLIN) | (stream.wantsWrite ? Int16(POLLOUT) : 0)
    poll.set(Place.stream, stream.fileDescriptor, events)
    poll.set(Place.stop, stop.fileDescriptor, Int16(POLLIN))
    // Only whether there is still somebody to read it.
    poll.set(Place.output, STDOUT_FILENO, Int16(POLLERR))
    let due = confirmedAt + Interval.feedback - Clock.monotonic()
    poll.wait(timeout: stream.mayHoldInput ? 0 : due)
    if poll.isReady(Place.output) { throw LineOutput.Failure.closed }
  }
}
