import Foundation

/// A reader's side of the lease protocol, as any application in any language would write it (contract 2).
struct Lease {
  enum Answer: Equatable {
    case hit(String)
    /// Nobody else may fill until the lease is used, deleted or expired.
    case granted
    /// Somebody else is filling.
    case wait
  }

  /// A key with an effective hash tag keeps it; any other becomes the tag.
  static func key(for key: String) -> String {
    if let open = key.firstIndex(of: "{") {
      let rest = key[key.index(after: open)...]
      if let close = rest.firstIndex(of: "}"), close != rest.startIndex { return "cdcd:l:" + key }
    }
    return "cdcd:l:{" + key + "}"
  }

  private static let getScript = """
    local v = redis.call('GET', KEYS[1])
    if v then return {'H', v} end
    if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'L'} end
    return {'W'}
    """

  private static let fillScript = """
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    redis.call('DEL', KEYS[2])
    return 1
    """

  static func get(_ key: String, token: String, from redis: RedisClient) throws -> Answer {
    let reply = try redis("EVAL", getScript, "2", key, Self.key(for: key), token, "2000")
    guard case .array(let parts) = reply else { throw RedisClient.ServerError(description: "\(reply)") }
    switch (parts.first, parts.last?.text) {
    case (.text("H"), let value?): return .hit(value)
    case (.text("L"), _): return .granted
    default: return .wait
    }
  }

  /// Whether the value was accepted.
  static func fill(_ key: String, token: String, value: String, into redis: RedisClient) throws -> Bool {
    try redis("EVAL", fillScript, "2", key, Self.key(for: key), token, value, "600000") == .integer(1)
  }
}
