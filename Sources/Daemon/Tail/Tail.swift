import Glibc
import Invalidation
import PostgresSource
import UnixSignals

/// `cdcd tail`: prints the changes that are committed from now on, and the keys that the rules derive from them.
///
/// It reads a temporary slot of its own, which the server drops with the connection. The daemon's slot, and Redis, it does
/// not touch.
package struct Tail: Sendable {
  /// Why it cannot begin, or go on: a sentence, and what mends it.
  package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
    /// The server could not be reached, or went away.
    package var isServerAway: Bool
  }

  private let configuration: Configuration
  private let filter: TailFilter
  private let json: Bool
  private let count: Int?

  /// Ends after `count` changes; nil is for ever.
  package init(_ configuration: Configuration, filter: TailFilter, json: Bool, count: Int?) {
    self.configuration = configuration
    self.filter = filter
    self.json = json
    self.count = count
  }

  /// Runs until SIGINT or SIGTERM, until nobody reads its output any more, or until everything that was asked for is
  /// printed. `report` is told what does not belong to the output.
  package func run(report: @escaping @Sendable (String) -> Void) async throws {
    guard configuration.source.mode != .notify else { throw Failure.outbox }
    // Who reads the output may leave at any time; the next write tells.
    _ = signal(SIGPIPE, SIG_IGN)
    let stop = Wakeup()
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    let watch = Task { await Self.watch(signals, stop) }
    defer { watch.cancel() }
    try await onOwnThread {
      do {
        try run(until: stop, report)
      } catch is TailConnection.Stopped {
      } catch LineOutput.Failure.closed {
      }
    }
  }

  /// A second signal ends it at once, also where it waits for a server that does not answer.
  private static func watch(_ signals: UnixSignalsSequence, _ stop: Wakeup) async {
    var stoppingSince: ContinuousClock.Instant?
    for await signal in signals {
      // `timeout` and terminals signal the process and its group: that is one wish, not two.
      if let stoppingSince, stoppingSince.duration(to: .now) > .seconds(1) { exit(128 + signal.rawValue) }
      stoppingSince = stoppingSince ?? .now
      stop.requestStop()
    }
  }

  private func run(until stop: Wakeup, _ report: @escaping (String) -> Void) throws {
    let catalog = try connect()
    do {
      let moving = try prepare(catalog, report)
      let stream = try openStream(beside: catalog, stop, report)
      var loop = TailLoop(
        stream: stream, catalog: catalog, stop: stop,
        reader: ChangeReader(rules: configuration.rules, mode: configuration.source.mode, moving: moving),
        format: TailFormat(rules: configuration.rules, filter: filter, json: json), count: count,
        report: report)
      report("Streaming from \(configuration.source.redacted) what is committed from now on.")
      try loop.run()
    } catch let error as CatalogError {
      throw Failure(description: "PostgreSQL: \(error.advice)", isServerAway: error.sqlState == nil)
    } catch let error as SourceFailure {
      throw Failure(
        description: error.message, isServerAway: error.kind == .unavailable || error.kind == .shuttingDown)
    } catch LineOutput.Failure.system(let code) {
      throw Failure(
        description: "standard output: \(unsafe String(cString: strerror(code)))", isServerAway: false)
    }
  }

  private func connect() throws(Failure) -> CatalogSession {
    do {
      return try CatalogSession(connection: configuration.source.postgres)
    } catch {
      throw Failure(
        description: "\(configuration.source.redacted): \(error.message)", isServerAway: true)
    }
  }

  /// Tells what is missing, as `cdcd check` does, and answers with the ruled tables whose rows may move.
  private func prepare(_ catalog: CatalogSession, _ report: (String) -> Void) throws -> Set<TableName> {
    let source = configuration.source
    try catalog.execute("SET idle_session_timeout = 0")
    let plan = try CatalogPlan.setup(for: configuration, session: catalog)
    let missing = plan.steps.filter { !$0.isOptional && !$0.makesSlot }.map(\.finding)
    for finding in plan.findings + missing { report("\(finding)") }
    if source.mode == .pgoutput, try PublicationFacts.read(source.publication, from: catalog) == nil {
      throw Failure(
        description: "Nothing can be streamed without the publication \(source.publication).",
        isServerAway: false)
    }
    return try catalog.tablesWithMovingRows(among: IdentityCoverage.tableNames(of: configuration.rules))
  }

  private func openStream(
    beside catalog: CatalogSession, _ stop: Wakeup, _ report: (String) -> Void
  ) throws -> ReplicationConnection {
    let connection: TailConnection
    do {
      connection = try TailConnection(
        PostgresSourceConfiguration(configuration), beside: catalog, stop: stop.fileDescriptor)
    } catch let error as SourceFailure {
      throw Failure(description: error.message, isServerAway: true)
    }
    if let problem = try catalog.problem(of: connection) {
      throw Failure(description: problem.problem + " " + problem.remedy, isServerAway: false)
    }
    var told: UInt32?
    try connection.makeSlot {
      // What holds it up is worth knowing, and not worth failing for.
      guard let blocker = try? catalog.oldestTransaction(), blocker.xid != told else { return }
      told = blocker.xid
      report(
        "The stream begins when every transaction running now has ended; the oldest is \(blocker.description)."
      )
    }
    return try connection.start()
  }
}

extension Tail.Failure {
  /// What is read from the outbox is taken from it, and is the daemon's.
  fileprivate static let outbox = Tail.Failure(
    description:
      "With source.mode: notify there is no stream to look at: rows of the outbox are gone once the daemon has read them."
      + " `cdcd explain` says which keys a change deletes; SELECT * FROM cdcd.outbox shows what the daemon has not read"
      + " yet; and where wal_level is logical, `cdcd tail` works with a file that says source.mode: wal2json, or pgoutput"
      + " and a publication.",
    isServerAway: false)
}
