package import Invalidation
package import Logging
package import RedisSink

/// What `rules.yaml` says, read, expanded and validated.
package struct Configuration: Sendable {
  package struct Source: Sendable, Equatable {
    /// How new rows of the outbox are told.
    package enum Wakeup: String, Sendable, CaseIterable {
      /// By NOTIFY.
      case notify
      /// Not at all.
      case poll
    }
    /// A libpq connection string, URI or keywords. May hold a password: never print it.
    package var postgres: String
    package var mode = SourceMode.pgoutput
    package var slot = "cdcd"
    package var publication = "cdcd"
    /// Connection strings as `postgres`, each of one read replica whose readers fill the cache.
    package var replicas: [String] = []
    package var retain: Duration = .seconds(60)
    /// No session commits asynchronously: a crash of PostgreSQL is no gap.
    package var losslessCrash = false
    package var wakeup = Wakeup.notify
    /// Of `notify`: how often the outbox is read besides; nil for what fits `wakeup`.
    package var poll: Duration?
    /// Every commit waits for the standby that takes over: a failover to a synchronized slot is no gap, nor is a crash.
    package var losslessFailover = false

    package init(postgres: String) { self.postgres = postgres }

    package var pollInterval: Duration { poll ?? (wakeup == .notify ? .seconds(1) : .milliseconds(50)) }
  }

  package struct Redis: Sendable, Equatable {
    package var address: RedisAddress
    package var command: EngineConfiguration.DeleteCommand = .unlink
    package var leases = true
    /// The most keys a second that a flush deletes.
    package var flushRate = 50_000

    package init(address: RedisAddress) { self.address = address }
  }

  package struct HTTP: Sendable, Equatable {
    /// Empty when it is `off`.
    package var listen: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 9810)]
    /// What a client has to know; nil when everyone may read the pages.
    package var token: AccessToken?
    package init() {}
  }

  package struct Log: Sendable, Equatable {
    package enum Format: String, Sendable, CaseIterable {
      case text, json
    }
    package var level: Logger.Level = .info
    package var format: Format = .text
    package init() {}
  }

  package var source: Source
  package var redis: Redis
  package var http = HTTP()
  package var log = Log()
  package var onGap: GapPolicy = .flush
  package var rules: [Rule] = []

  package init(source: Source, redis: Redis) {
    self.source = source
    self.redis = redis
  }
}
