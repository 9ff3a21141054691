/// How a `LeasedCache` waits, and what it stores for a row that does not exist.
public struct CacheSettings: Sendable {
  /// For how long a reader that missed may load and fill before another one may try; 10 s by default. Loads that
  /// take longer are answered and never cached. When a reader dies, others wait for `waitLimit` on each read of
  /// its key until this time has passed.
  public var leaseTime = Duration.seconds(10)

  /// For how long a reader waits for the one that fills before it loads by itself; 3 s by default. Should exceed
  /// what a load usually takes, or a stampede reaches the database after all.
  public var waitLimit = Duration.seconds(3)

  /// What is stored when the row does not exist; `cdcd:absent` by default. The same for all readers of a cache, in
  /// whatever language. A real value of these bytes is never cached.
  public var absentMarker = Array("cdcd:absent".utf8)

  /// The defaults.
  public init() {}
}

extension Duration {
  /// For Redis: rounded up, at least one, at most some thousand years.
  var wholeMilliseconds: Int64 {
    let limit: Int64 = 100_000_000_000
    let seconds = min(max(components.seconds, 0), limit)
    let rest = max(components.attoseconds, 0)
    return max(1, seconds * 1_000 + (rest + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
