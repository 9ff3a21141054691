/// What happened in a read.
public enum CacheEvent: Sendable {
  /// Redis had the value, or knew that the row does not exist.
  case hit
  /// The loaded value is in Redis now.
  case filled
  /// The loaded value was answered and not stored: the row was changed meanwhile, or the lease ran out.
  case fillRefused
  /// Somebody else was filling and the read waited. Once for each such read, when the waiting is over.
  case waited(Duration)
  /// The value was loaded without a lease, and so not stored: Redis did not answer, or the wait limit passed.
  case uncached
  /// Redis, the way to it, or the coding of the value failed. The read was answered all the same.
  case failed(any Error)
}

/// How often each event happened.
public struct CacheCounts: Sendable, Equatable {
  /// Reads that Redis answered.
  public internal(set) var hits = 0
  /// Loaded values that were stored.
  public internal(set) var fills = 0
  /// Loaded values that were not stored, because an invalidation came first or the lease ran out.
  public internal(set) var refusedFills = 0
  /// Reads that waited for another reader.
  public internal(set) var waits = 0
  /// Reads that loaded without a lease.
  public internal(set) var uncached = 0
  /// Failures of Redis, of the way to it, and of the coding.
  public internal(set) var errors = 0

  mutating func add(_ event: CacheEvent) {
    switch event {
    case .hit: hits += 1
    case .filled: fills += 1
    case .fillRefused: refusedFills += 1
    case .waited: waits += 1
    case .uncached: uncached += 1
    case .failed: errors += 1
    }
  }
}
