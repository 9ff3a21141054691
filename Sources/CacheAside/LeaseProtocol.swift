/// The three calls of the lease protocol, and what their replies mean (contract 2).
struct LeaseProtocol: Sendable {
  enum Answer: Equatable {
    case hit([UInt8])
    /// The key may be filled with the token that was sent, from a database snapshot that is taken from now on.
    case granted
    /// Somebody else fills it.
    case wait
  }

  let redis: any RedisTransport

  func get(_ key: CacheKey, _ token: LeaseToken, leaseTime: Duration) async throws -> Answer {
    let reply = try await Script.get.run(
      keys: [key, key.lease], arguments: [token.bytes, milliseconds(leaseTime)], on: redis)
    guard case .array(let parts) = reply, case .bulk(let kind) = parts.first else {
      throw failure("get", reply)
    }
    switch (String(decoding: kind, as: UTF8.self), parts.dropFirst().first, parts.count) {
    case ("H", .bulk(let value), 2): return .hit(value)
    case ("L", nil, 1): return .granted
    case ("W", nil, 1): return .wait
    default: throw failure("get", reply)
    }
  }

  /// Whether the value was stored.
  func fill(_ key: CacheKey, _ token: LeaseToken, _ value: [UInt8], ttl: Duration) async throws -> Bool {
    let reply = try await Script.fill.run(
      keys: [key, key.lease], arguments: [token.bytes, value, milliseconds(ttl)], on: redis)
    return try flag("fill", reply)
  }

  /// Whether the lease was still held.
  func release(_ key: CacheKey, _ token: LeaseToken) async throws -> Bool {
    try flag(
      "release", try await Script.release.run(keys: [key.lease], arguments: [token.bytes], on: redis))
  }

  private func flag(_ call: String, _ reply: RESPReply) throws(LeaseReplyError) -> Bool {
    switch reply {
    case .integer(1): return true
    case .integer(0): return false
    default: throw failure(call, reply)
    }
  }

  private func failure(_ call: String, _ reply: RESPReply) -> LeaseReplyError {
    if case .error(let message) = reply { return .refused(message) }
    return .unexpected(call: call, reply)
  }

  private func milliseconds(_ duration: Duration) -> [UInt8] {
    Array(String(duration.wholeMilliseconds).utf8)
  }
}

/// Redis answered a call of the lease protocol with something else than the protocol's replies.
public enum LeaseReplyError: Error, Equatable {
  /// An error reply, as Redis sent it: `READONLY ...` from a replica, `OOM ...`, `NOPERM ...`, `LOADING ...`.
  case refused(String)
  /// A reply of another form; `call` is `get`, `fill` or `release`.
  case unexpected(call: String, RESPReply)
}
