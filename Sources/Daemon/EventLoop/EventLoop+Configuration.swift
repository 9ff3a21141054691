import Invalidation
import Logging
import PostgresSource

extension EventLoop {
  /// The loop that the file asks for. `acceptGap` is `cdcd run --accept-gap`; `manager` is as in the other initializer.
  convenience init(
    _ configuration: Configuration, acceptGap: Bool = false, board: StatusBoard,
    manager: ServiceManager = .none, logger: Logger
  ) throws(SourceFailure) {
    let source = configuration.source
    var replicas: [ReplicaAddress] = []
    for replica in source.replicas { replicas.append(try ReplicaAddress(connection: replica)) }
    self.init(
      engine: EngineConfiguration(
        rules: configuration.rules, slot: source.slot, retain: source.retain,
        command: configuration.redis.command, leases: configuration.redis.leases, onGap: configuration.onGap,
        acceptGap: acceptGap, runIdentifier: EventLoop.makeRunIdentifier(),
        targets: [configuration.redis.address.redacted],
        replicas: source.replicas.map(Configuration.Source.redacted),
        flushRate: configuration.redis.flushRate,
        losslessCrash: source.losslessCrash, losslessFailover: source.losslessFailover, mode: source.mode,
        pollInterval: source.pollInterval
      ),
      source: PostgresSourceConfiguration(configuration),
      targets: [configuration.redis.address], replicas: replicas, board: board,
      manager: manager, logger: logger)
  }

  /// 128 random bits in hexadecimal.
  private static func makeRunIdentifier() -> String {
    (0..<16).map { _ in
      let byte = UInt8.random(in: .min ... .max)
      return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }
}

extension PostgresSourceConfiguration {
  /// Where the file's changes come from.
  init(_ configuration: Configuration) {
    let source = configuration.source
    self.init(
      connection: source.postgres, slot: source.slot, mode: source.mode, publication: source.publication,
      tables: IdentityCoverage.tableNames(of: configuration.rules),
      ruleColumns: IdentityCoverage.ruleColumns(of: configuration.rules))
  }
}
