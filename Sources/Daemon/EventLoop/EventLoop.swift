import Glibc
package import Invalidation
package import Logging
package import PostgresSource
package import RedisSink

/// The daemon's one thread for all sockets of PostgreSQL and Redis. This is the handle that other threads hold;
/// the work is done by a `Shell` that never leaves the thread of `run`.
package final class EventLoop: Sendable {
  /// Why the loop ended.
  package enum Outcome: Sendable, Equatable {
    /// After `stop`: everything in flight is settled, or never will be.
    case finished
    /// A gap was found and the policy is `halt`.
    case halted(GapReason)
  }

  private let engine: EngineConfiguration
  private let source: PostgresSourceConfiguration
  private let targets: [RedisAddress]
  private let replicas: [ReplicaAddress]
  private let board: StatusBoard
  private let manager: ServiceManager
  private let logger: Logger
  private let wakeup = Wakeup()

  /// `targets` and `replicas` are in the order of `engine.targets` and `engine.replicas`. `manager` hears how the loop
  /// is; by default nobody does.
  package init(
    engine: EngineConfiguration, source: PostgresSourceConfiguration, targets: [RedisAddress],
    replicas: [ReplicaAddress] = [], board: StatusBoard,
    manager: ServiceManager = .none, logger: Logger
  ) {
    self.engine = engine
    self.source = source
    self.targets = targets
    self.replicas = replicas
    self.board = board
    self.manager = manager
    self.logger = logger
  }

  /// Runs on the calling thread until stopped or halted. Once.
  package func run() -> Outcome {
    // Writing to a connection that the peer closed is an error to be handled, not a reason to die.
    _ = signal(SIGPIPE, SIG_IGN)
    board.onAwait { [wakeup] in wakeup.signal() }
    let shell = Shell(
      engine: engine, source: source, targets: targets, replicas: replicas, board: board, manager: manager,
      logger: logger, wakeup: wakeup)
    return shell.run()
  }

  /// Makes the loop finish what is in flight and end; from any thread.
  package func stop() { wakeup.requestStop() }

  /// Puts the rules of this file in the place of those in force, at the next end of a transaction; from any thread. All
  /// else that it says counts at the next start.
  package func replaceRules(with configuration: Configuration) {
    wakeup.request(
      RuleReplacement(
        rules: RuleSet(configuration.rules, onGap: configuration.onGap),
        source: PostgresSourceConfiguration(configuration)))
  }

  /// Makes the loop look at the board; from any thread.
  package func wake() { wakeup.signal() }
}
