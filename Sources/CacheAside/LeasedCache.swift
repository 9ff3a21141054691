import Synchronization

/// Reads through Redis with the lease protocol, so that what cdcd has invalidated cannot come back.
///
/// A reader that misses takes a lease on the key, loads, and fills; an invalidation between the two takes the lease
/// away and the fill is refused. Of many readers that miss at once one loads, and the others wait for it.
///
/// What this rests on:
/// - **The database snapshot is taken after the lease was granted**: `load` begins a new statement or transaction. A
///   REPEATABLE READ or SERIALIZABLE transaction that was begun before the call is unsafe: it fills what it saw then.
/// - Database reads go to the primary or to a replica that is declared to cdcd.
/// - Redis is the primary that cdcd deletes from; it restores prefixes of its own history, and clients leave a deposed
///   primary.
/// - Rules and replica identity are complete: `cdcd check` verifies it.
/// - Nothing else writes these keys. A plain `SET` anywhere undoes the guarantee, and no daemon can mend it; deleting
///   is always safe.
///
/// A cache must not take the application down: when Redis does not answer, or answers nonsense, the value is loaded
/// without it. `counts` and the `onEvent` closure tell.
public struct LeasedCache: Sendable {
  private let leases: LeaseProtocol
  private let settings: CacheSettings
  private let counter = Counter()
  private let onEvent: @Sendable (CacheEvent) -> Void

  /// - Parameters:
  ///   - redis: the way to the Redis primary that cdcd deletes from.
  ///   - settings: times, and the marker of an absent row.
  ///   - onEvent: called in every read with what happens, on the reader's task; for logs and metrics.
  public init(
    _ redis: any RedisTransport, settings: CacheSettings = CacheSettings(),
    onEvent: @escaping @Sendable (CacheEvent) -> Void = { _ in }
  ) {
    leases = LeaseProtocol(redis: redis)
    self.settings = settings
    self.onEvent = onEvent
  }

  /// What happened so far, in this cache and its copies.
  public var counts: CacheCounts { counter.counts.withLock { $0 } }

  /// The bytes of a key: cached, or loaded and cached.
  ///
  /// - Parameters:
  ///   - key: one that a rule of cdcd derives from the rows that `load` reads.
  ///   - ttl: for how long the value may stay, in whole milliseconds, at least one. The last line of defence.
  ///   - load: reads the database in a new statement or transaction; nil when the row does not exist, which is
  ///     cached too. What it throws reaches the caller, and nothing is cached.
  /// - Returns: the value, nil when the row does not exist.
  /// - Throws: what `load` throws, and `CancellationError`.
  public func value(
    for key: CacheKey, ttl: Duration, load: () async throws -> [UInt8]?
  ) async throws -> [UInt8]? {
    try await value(for: key, ttl: ttl, coding: .bytes, load: load)
  }

  /// The value of a key: cached, or loaded and cached.
  ///
  /// Cached bytes that `coding` cannot decode are not touched, and the value is loaded: put a version into the key
  /// when its form changes.
  ///
  /// - Parameters:
  ///   - key: one that a rule of cdcd derives from the rows that `load` reads.
  ///   - ttl: for how long the value may stay, in whole milliseconds, at least one. The last line of defence.
  ///   - coding: how values become bytes.
  ///   - load: reads the database in a new statement or transaction; nil when the row does not exist, which is
  ///     cached too. What it throws reaches the caller, and nothing is cached.
  /// - Returns: the value, nil when the row does not exist.
  /// - Throws: what `load` throws, and `CancellationError`.
  public func value<Value>(
    for key: CacheKey, ttl: Duration, coding: ValueCoding<Value>, load: () async throws -> Value?
  ) async throws -> Value? {
    switch try await grant(on: key) {
    case .hit(settings.absentMarker):
      record(.hit)
      return nil
    case .hit(let bytes):
      do {
        let value = try coding.decode(bytes)
        record(.hit)
        return value
      } catch {
        record(.failed(error))
      }
    case .fill(let token):
      let value = try await loadUnderLease(key, token, load)
      await store(value, coding, key, token, ttl)
      return value
    case .unavailable: break
    }
    record(.uncached)
    return try await load()
  }

  /// What a read may do.
  private enum Grant {
    case hit([UInt8])
    /// Load, and fill with this token.
    case fill(LeaseToken)
    /// Load, and leave Redis alone.
    case unavailable
  }

  /// Asks until there is a value or a lease, or the wait limit has passed.
  ///
  /// Readers of one process do not share a load that is under way either: it may have begun before a change that
  /// the later reader has waited for. Redis knows, since the change takes the lease away.
  private func grant(on key: CacheKey) async throws -> Grant {
    let start = ContinuousClock.now
    var backoff = Backoff(first: .milliseconds(10), cap: .milliseconds(250))
    defer { if backoff.tries > 0 { record(.waited(.now - start)) } }
    while true {
      let token = LeaseToken()
      switch try await answer(key, token) {
      case .hit(let bytes)?: return .hit(bytes)
      case .granted?: return .fill(token)
      case .wait?:
        let left = settings.waitLimit - (.now - start)
        guard left > .zero else { return .unavailable }
        try await Task.sleep(for: min(left, backoff.next()))
      case nil: return .unavailable
      }
    }
  }

  /// Nil when Redis gave none. The lease may have been granted even so, but nobody knows when: a fill with this
  /// token could be older than the lease, and is never tried.
  private func answer(_ key: CacheKey, _ token: LeaseToken) async throws -> LeaseProtocol.Answer? {
    do {
      return try await leases.get(key, token, leaseTime: settings.leaseTime)
    } catch {
      try Task.checkCancellation()
      record(.failed(error))
      return nil
    }
  }

  private func loadUnderLease<Value>(
    _ key: CacheKey, _ token: LeaseToken, _ load: () async throws -> Value?
  ) async throws -> Value? {
    do {
      return try await load()
    } catch {
      await release(key, token)
      throw error
    }
  }

  /// Fills with the value, or gives the lease back.
  private func store<Value>(
    _ value: Value?, _ coding: ValueCoding<Value>, _ key: CacheKey, _ token: LeaseToken, _ ttl: Duration
  ) async {
    do {
      let bytes = try value.map(coding.encode) ?? settings.absentMarker
      if value != nil, bytes == settings.absentMarker { throw AbsentMarkerCollision() }
      await perform { [leases] in
        try await leases.fill(key, token, bytes, ttl: ttl) ? .filled : .fillRefused
      }
    } catch {
      record(.failed(error))
      await release(key, token)
    }
  }

  /// So that the next reader need not wait for the lease to expire.
  private func release(_ key: CacheKey, _ token: LeaseToken) async {
    await perform { [leases] in
      _ = try await leases.release(key, token)
      return nil
    }
  }

  /// In a task of its own: a reader that is cancelled still fills or releases, or others would wait for nothing.
  private func perform(_ call: @escaping @Sendable () async throws -> CacheEvent?) async {
    let task = Task { try await call() }
    switch await task.result {
    case .success(let event): if let event { record(event) }
    case .failure(let error): record(.failed(error))
    }
  }

  private func record(_ event: CacheEvent) {
    counter.counts.withLock { $0.add(event) }
    onEvent(event)
  }
}

/// A loaded value has the bytes that stand for an absent row, and so was not stored.
public struct AbsentMarkerCollision: Error {}

private final class Counter: Sendable {
  let counts = Mutex(CacheCounts())
}
