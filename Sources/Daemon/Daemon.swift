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

  /// To be called first: a SIGHUP that comes before `run` asks for what is about to happen anyway.
  package static func ignoreReload() { _ = signal(SIGHUP, SIG_IGN) }

  /// Runs until SIGTERM or SIGINT, or until a gap halts it, and returns the status to exit with. A second signal
  /// exits at once, without draining. SIGHUP has the rules read again.
  ///
  /// Throws when the HTTP address cannot be had; PostgreSQL and Redis may be away for as long as they like.
  package func run() async throws -> Int32 {
    FileLimit.raise()
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    let logger = Logger(configuration.log)
    let board = StatusBoard()
    let manager = ServiceManager()
    let (listening, announce) = AsyncStream<Void>.makeStream()
    let server = HTTPServer(
      configuration.http, board: board, identity: DaemonIdentity(version: Version.current), logger: logger
    ) { port in
      logStart(logger, port: port)
      announce.yield()
    }
    let eventLoop = try EventLoop(
      configuration, acceptGap: acceptGap, board: board, manager: manager, logger: logger)
    let loop = EventLoopService(eventLoop, board: board, startAfter: listening)
    // Shut down in reverse: the loop drains while HTTP still tells about it.
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(service: server), .init(service: loop, successTerminationBehavior: .gracefullyShutdownGroup),
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

  private func logStart(_ logger: Logger, port: Int) {
    var http = configuration.http
    http.port = port
    logger.info(
      "cdcd \(Version.current) has started",
      metadata: [
        "source": "\(configuration.source.redacted)", "redis": "\(configuration.redis.address.redacted)",
        "http": "\(http.description)", "rules": "\(configuration.rules.count)",
        "mode": "\(configuration.source.mode.rawValue)", "on_gap": "\(configuration.onGap.rawValue)",
      ])
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
        logger.warning("stopped by a second signal; what was in flight is replayed at the next start")
        exit(128 + signal.rawValue)
      }
      stoppingSince = .now
      logger.info("stopping: finishing what is in flight", metadata: ["signal": "\(signal)"])
      await group.triggerGracefulShutdown()
    }
  }
}
