import Invalidation
import RedisSink

/// What `cdcd check` asks of Redis.
enum RedisCheck {
  /// Everything that is wrong, with the command that mends it. Leaves nothing behind. `system` is PostgreSQL's system
  /// identifier, a part of the watermark's name.
  static func findings(
    for configuration: Configuration, system: String
  ) throws(RedisFailure) -> [Finding] {
    let redis = configuration.redis
    let session = try RedisSession(redis.address)
    var refusals = RedisRefusals(user: redis.address.username ?? "default")
    let answers = try session.replies(to: questions, count: 2)
    guard let info = try text(answers[0], "info", &refusals) else { return refusals.findings }
    let facts = RedisFacts(info: info, save: answers[1])
    if let obstacle = facts.obstacle { return [obstacle] }
    let trial = RedisTrial(
      rules: configuration.rules, system: system, slot: configuration.source.slot, command: redis.command,
      leases: redis.leases)
    try probe(trial, on: session, &refusals)
    let policies = configuration.rules.map { $0.onGap ?? configuration.onGap }
    var findings = facts.warnings(haltsOnGap: policies.contains(.halt))
    if refusals.isEmpty { findings += try roundTrip(trial, facts.history, redis.address, &refusals) }
    return refusals.findings + findings
  }

  /// CONFIG may be refused.
  private static let questions = respCommand(["INFO"]) + respCommand(["CONFIG", "GET", "save"])

  /// The text of a reply; nil when it was refused.
  private static func text(
    _ reply: RedisReply, _ command: String, _ refusals: inout RedisRefusals
  ) throws(RedisFailure) -> [UInt8]? {
    switch reply {
    case .bulk(let text): return text
    case .error(let error) where error.starts(with: "NOAUTH".utf8): throw .loginMissing
    case .error(let error):
      refusals.add(command, pattern: nil, error: error)
      guard !refusals.isEmpty else { throw RedisFailure(RedisReply.message(ofError: error)) }
      return nil
    default: throw RedisFailure("\(command.uppercased()) was answered by something else")
    }
  }

  /// The MULTI around the probes ends with the session, unexecuted.
  private static func probe(
    _ trial: RedisTrial, on session: RedisSession, _ refusals: inout RedisRefusals
  ) throws(RedisFailure) {
    let beginning = try session.replies(to: RedisTrial.beginning, count: 1)[0]
    // Without it the probes would run.
    if case .error(let error) = beginning { return refusals.add("multi", pattern: nil, error: error) }
    let probes = trial.probes
    let replies = try session.replies(to: probes.flatMap(\.bytes), count: probes.count)
    for (probe, reply) in zip(probes, replies) {
      guard case .error(let error) = reply else { continue }
      refusals.add(probe.command, pattern: probe.pattern, error: error)
    }
  }

  /// On a session of its own, since the other is within a MULTI.
  private static func roundTrip(
    _ trial: RedisTrial, _ history: String, _ address: RedisAddress, _ refusals: inout RedisRefusals
  ) throws(RedisFailure) -> [Finding] {
    let replies = try RedisSession(address).replies(
      to: trial.roundTrip(history: history), count: RedisTrial.roundTripReplies)
    let execution = replies[replies.count - 1]
    for case .error(let error) in replies { refusals.add("exec", pattern: nil, error: error) }
    if case .array(let results) = execution {
      for case .error(let error) in results { refusals.add("eval", pattern: nil, error: error) }
    }
    guard refusals.isEmpty, !RedisTrial.isIntact(execution) else { return [] }
    return [
      Finding(
        "A watermark did not come back from Redis as it was written: cdcd would take everything for lost.",
        remedy: "Name Redis itself in redis.url, not a proxy that spreads or changes commands.")
    ]
  }
}
