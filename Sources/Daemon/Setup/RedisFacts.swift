import Invalidation

/// What Redis tells of itself, as far as it matters to cdcd. All of it stands in INFO, since managed servers refuse CONFIG.
///
/// Source: Redis manual, INFO.
struct RedisFacts {
  /// `master`, or `RedisRole.replica`.
  var role: String
  /// `master_replid`.
  var history: String
  var isClusterNode: Bool
  /// In bytes; 0 is no limit.
  var memoryLimit: Int
  var evictionPolicy: String
  var hasAppendOnlyFile: Bool
  /// Whether it saves snapshots; nil where CONFIG is refused.
  var savesSnapshots: Bool?
  var replicas: Int
  /// `min-replicas-to-write` is set.
  var demandsReplicas: Bool

  /// `info` is the text of INFO, `save` the reply to `CONFIG GET save`.
  init(info: [UInt8], save: RedisReply?) {
    func field(_ name: String) -> String { RedisReply.field(name, of: info) }
    role = field("role")
    history = field("master_replid")
    isClusterNode = field("cluster_enabled") == "1"
    memoryLimit = Int(field("maxmemory")) ?? 0
    evictionPolicy = field("maxmemory_policy")
    hasAppendOnlyFile = field("aof_enabled") == "1"
    if case .array(let setting)? = save, setting.count == 2, case .bulk(let points) = setting[1] {
      savesSnapshots = !points.isEmpty
    }
    replicas = Int(field("connected_slaves")) ?? 0
    demandsReplicas = !field("min_slaves_good_slaves").isEmpty
  }
}

extension RedisFacts {
  /// Why cdcd cannot write to this server at all.
  var obstacle: Finding? {
    if role == RedisRole.replica {
      return Finding(
        "Redis: \(RedisRole.replicaProblem).", remedy: "\(RedisRole.replicaRemedy): name the primary there."
      )
    }
    guard isClusterNode else { return nil }
    return Finding(
      "Redis is a node of a cluster, and a batch has keys of every slot: the node refuses it.",
      remedy: "Name a Redis that is no cluster in redis.url: cdcd cannot write to one yet.")
  }

  /// What makes Redis forget deletes, or the watermark alone.
  func warnings(haltsOnGap: Bool) -> [Finding] {
    [eviction, restart(haltsOnGap), failover].compactMap(\.self)
  }

  private var eviction: Finding? {
    guard memoryLimit > 0, evictionPolicy.hasPrefix("allkeys-") else { return nil }
    return Finding(
      .warning,
      "maxmemory-policy is \(evictionPolicy), which may evict the watermark: if cdcd is not connected then, it cannot tell"
        + " that from lost deletes, and flushes every rule.",
      remedy:
        "CONFIG SET maxmemory-policy volatile-\(evictionPolicy.dropFirst("allkeys-".count)), which evicts keys with a TTL"
        + " alone; and the same in redis.conf")
  }

  private func restart(_ haltsOnGap: Bool) -> Finding? {
    guard !hasAppendOnlyFile else { return nil }
    guard savesSnapshots == false else {
      return Finding(
        .warning,
        (savesSnapshots == true
          ? "Redis keeps snapshots and no append-only file: "
          : "Redis keeps no append-only file, and does not tell whether it keeps snapshots (CONFIG is refused): if so, ")
          + "a restart brings back what was deleted since the last one. Readers get it until cdcd has replayed that time,"
          + " or, where it is longer than source.retain, has flushed every rule.",
        remedy:
          "CONFIG SET appendonly yes, or CONFIG SET save '' for a Redis that starts empty; and the same in redis.conf"
      )
    }
    guard haltsOnGap else { return nil }
    return Finding(
      .warning,
      "Redis keeps nothing on disk: the watermark is gone with each restart, and on_gap: halt stops cdcd then.",
      remedy: "CONFIG SET appendonly yes, and the same in redis.conf; or on_gap: flush")
  }

  private var failover: Finding? {
    guard replicas > 0, !demandsReplicas else { return nil }
    return Finding(
      .warning,
      "Redis has \(replicas == 1 ? "a replica" : "\(replicas) replicas"), and min-replicas-to-write is 0: a primary that was"
        + " cut off goes on taking deletes and fills that the failover discards, and serves those who have not left it.",
      remedy:
        "CONFIG SET min-replicas-to-write 1, and CONFIG SET min-replicas-max-lag 10; and the same in redis.conf"
    )
  }
}
