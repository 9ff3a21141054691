import Glibc
import Invalidation
import Logging
import PostgresSource
import ServiceLifecycle
import UnixSignals

/// The running daemon: one event loop on its own thread, and the HTTP server beside it.
package struct Daemon: Sendable {
  private let configuration: Configuration
  private let acceptGap: Bool
  private let readAgain: @Sendable () throws -> Configuration

  /// `acceptGap` is `cdcd run --accept-gap`: take the next gap of a `halt` rule as accepted, once. `readAgain` reads the
  /// file that `configuration` is from.
  package init(
    configuration: Configuration, acceptGap: Bool = false,
    readAgain: @escaping @Sendable () throws -> Configuration
  ) {
    self.configuration = configuration
    self.acceptGap = acceptGap
    self.readAgain = readAgain
  }

  /// To be called first: a SIGHUP that comes before `run` asks for what is about to happen anyway, a log that nobody takes
  /// is no reason to end, and who is to end before `run` has nothing in flight.
  package static func handleEarlySignals() {
    for number in [SIGTERM, SIGINT] { _ = signal(number) { _ in _exit(0) } }
    _ = signal(SIGHUP, SIG_IGN)
    _ = signal(SIGPIPE, SIG_IGN)
  }

  /// Runs until SIGTERM or SIGINT, or until a gap halts it, and returns the status to exit with. A second signal
  /// exits at once, without draining. SIGHUP has the rules read again.
  ///
  /// Throws when an HTTP address cannot be had; PostgreSQL and Redis may be away for as long as they like.
  package func run() async throws -> Int32 {
    FileLimit.raise()
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    let logger = Logger(configuration.log)
    let board = StatusBoard()
    let manager = ServiceManager()
    let (listening, announce) = AsyncStream<Void>.makeStream()
    let identity = DaemonIdentity(version: Version.current, source: configuration.source)
    let feed = EventFeed(board, identity)
    let servers = httpServers(board, identity, feed, logger) { announce.yield() }
    let eventLoop = try EventLoop(
      configuration, acceptGap: acceptGap, board: board, manager: manager, logger: logger)
    let loop = EventLoopService(eventLoop, board: board, startAfter: listening)
    // Shut down in reverse: the loop drains while HTTP still tells about it.
    let group = ServiceGroup(
      configuration: .init(
        services: servers.map { .init(service: $0) } + [
          .init(service: feed),
          .init(service: loop, successTerminationBehavior: .gracefullyShutdownGroup),
        ], logger: logger.atLeast(.critical)))
    let reload = RuleReload(
      readAgain, into: eventLoop, board: board, manager: manager, logger: logger)
    let (requests, request) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let reloads = Task { await reload.serve(requests, from: configuration) }
    let watch = Task { await Daemon.watch(signals, group, reload: { request.yield() }, logger) }
    defer {
      watch.cancel()
      reloads.cancel()
    }
    try await Daemon.run(group, loop)
    return loop.exitStatus
  }

  /// Until everything has ended. Once the event loop has, nothing is left but HTTP clients, and one that does not read
  /// its answers would hold up the process for as long as it likes.
  private static func run(_ group: ServiceGroup, _ loop: EventLoopService) async throws {
    let (endings, ending) = AsyncThrowingStream.makeStream(of: Void.self)
    Task {
      do {
        try await group.run()
        ending.finish()
      } catch {
        ending.finish(throwing: error)
      }
    }
    Task {
      await loop.waitUntilEnded()
      try await Task.sleep(for: clientPatience)
      ending.finish()
    }
    for try await _ in endings {}
  }

  private static let clientPatience = Duration.seconds(2)

  /// One for each address; `onListening` is called when all of them accept connections.
  private func httpServers(
    _ board: StatusBoard, _ identity: DaemonIdentity, _ feed: EventFeed, _ logger: Logger,
    onListening: @escaping @Sendable () -> Void
  ) -> [HTTPServer] {
    let register = ConnectionRegister.ofProcess()
    let all = AllListening(count: configuration.http.listen.count) { addresses in
      logStart(logger, addresses)
      onListening()
    }
    return configuration.http.listen.enumerated().map { place, address in
      HTTPServer(
        at: address, token: configuration.http.token, board: board, identity: identity, feed: feed,
        register: register, logger: logger, onListening: { all.add($0, at: place) })
    }
  }

  private func logStart(_ logger: Logger, _ addresses: [ListenAddress]) {
    let http = addresses.isEmpty ? "off" : addresses.map(\.description).joined(separator: ", ")
    logger.info(
      "cdcd \(Version.current) has started",
      metadata: [
        "cause": "started", "source": "\(configuration.source.redacted)",
        "redis": "\(configuration.redis.address.redacted)",
        "http": "\(http)", "rules": "\(configuration.rules.count)",
        "mode": "\(configuration.source.mode.rawValue)", "on_gap": "\(configuration.onGap.rawValue)",
      ])
    for finding in HTTPCheck.findings(for: configuration.http) {
      logger.warning("\(finding.problem) \(finding.remedy)", metadata: ["cause": "http_open"])
    }
  }

  private static func watch(
    _ signals: UnixSignalsSequence, _ group: ServiceGroup, reload: () -> Void, _ logger: Logger
  ) async {
    var stoppingSince: ContinuousClock.Instant?
    for await signal in signals {
      guard signal != .sighup else {
        reload()
        continue
      }
      if let stoppingSince {
        // `timeout` and terminals signal the process and its group: that is one wish, not two.
        guard stoppingSince.duration(to: .now) > .seconds(1) else { continue }
        logger.warning(
          "stopped by a second signal; what was in flight is replayed at the next start",
          metadata: ["cause": "stopped"])
        exit(128 + signal.rawValue)
      }
      stoppingSince = .now
      logger.info(
        "stopping: finishing what is in flight", metadata: ["cause": "stopping", "signal": "\(signal)"])
      await group.triggerGracefulShutdown()
    }
  }
}
