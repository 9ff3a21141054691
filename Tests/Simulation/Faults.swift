import Invalidation

/// What can go wrong; each can be masked by its name (`NOFAULTS=kill,redisBreak`, or `FAULTS=` for only these).
enum Fault: String, CaseIterable {
  case postgresRestart, postgresCrash, postgresUnreachable, postgresFrozen, walsenderKilled, slotDropped
  case queryFailed, stuckCommit
  case redisBreak, redisTrouble, redisFrozen, redisRefused, redisRestart, redisRestore, redisSwap, redisEmpty
  case flushAll, evictWatermark, evictKey
  case kill, terminate, freeze, standby, clockJump
  /// Two at once: Redis freezes with a command of a flush on its way, and meanwhile the source breaks.
  case flushAmbush
  /// A table is out of the publication for a while.
  case republished
  case evictLease
  /// A standby takes the primary's place, with a synchronized slot or without. It has everything that was streamed; in some
  /// worlds readers had seen a commit more.
  case postgresPromoted
  /// The rules file is another one, and everyone that runs gets a SIGHUP.
  case rulesReplaced
  case replicaStalled, replicaHidden, replicaFrozen, replicaRestart, replicaCrash, replicaElsewhere

  /// Those that a world draws its own from; the others are dealt apart, so that old seeds stay the same.
  static let drawn = Array(allCases.prefix { $0 != .flushAmbush })
  static let ofReplicas: [Fault] = [
    .replicaStalled, .replicaHidden, .replicaFrozen, .replicaRestart, .replicaCrash, .replicaElsewhere,
  ]
}

/// Lets the world's faults happen, at times of its own random stream.
final class FaultInjector {
  unowned let world: World
  private var random: Randomness
  private var isOver = false
  /// Whoever stops now is meant to stay away.
  var leavesStopped = false
  /// The next of these commands outside MULTI falls into the ambush; none while it is empty.
  private var ambushed: [String] = []
  var ambushIsSet: Bool { !ambushed.isEmpty }

  init(world: World) {
    self.world = world
    self.random = Randomness(seed: world.seed ^ 0xFA_017)
  }

  func start() {
    guard !world.options.faults.isEmpty else { return }
    next()
  }

  /// From here on nothing goes wrong any more, and what is wrong ends.
  func end() {
    isOver = true
    if world.options.faults.contains(.rulesReplaced) { world.replaceRules(with: .all) }
    ambushed = []
    let (postgres, redis) = (world.postgres, world.redis)
    postgres.unreachableUntil = min(postgres.unreachableUntil, world.now)
    redis.refusingUntil = min(redis.refusingUntil, world.now)
    for replica in world.replicas { replica.calmDown() }
    world.lastFault = world.now
    world.lastReplicaFault = world.now
  }

  private func next() {
    world.after(random.between(10 * Time.millisecond, world.options.faultPause)) { [self] in
      guard !isOver else { return }
      inject(random.pick(world.options.faults))
      next()
    }
  }

  func inject(_ fault: Fault) {
    world.trace { "FAULT \(fault)" }
    world.tally.add("fault \(fault)", 1)
    if Fault.ofReplicas.contains(fault) { return replica(fault) }
    world.lastFault = world.now
    switch fault {
    case .postgresRestart, .postgresCrash, .postgresUnreachable, .postgresFrozen, .walsenderKilled,
      .slotDropped, .queryFailed, .stuckCommit, .republished, .postgresPromoted:
      world.lastSourceFault = world.now
      source(fault)
    case .rulesReplaced: world.replaceRules(with: random.pick(RuleVariant.allCases))
    case .kill, .terminate, .freeze, .standby, .clockJump: process(fault)
    default: redis(fault)
    }
  }

  private func source(_ fault: Fault) {
    let postgres = world.postgres
    switch fault {
    case .postgresRestart:
      postgres.fastShutdown()
      startAgain()
    case .postgresCrash:
      postgres.crash()
      startAgain()
    case .postgresUnreachable:
      postgres.unreachableUntil = world.now + duration(5)
      for instance in world.instances {
        instance.source.queryBroke(.unavailable, "connection timed out")
        instance.source.replicationBroke(.unavailable, "connection timed out")
      }
    case .postgresFrozen:
      postgres.frozenUntil = world.now + duration(40)
      world.lastSourceFault = postgres.frozenUntil
    case .postgresPromoted:
      postgres.crash()
      postgres.promote(
        keepingSlot: random.chance(500),
        losing: world.options.losslessFailover ? 0 : 1 + UInt64(random.below(60)))
      startAgain()
    case .walsenderKilled:
      postgres.walsender?.end(.unavailable, "terminating connection")
      postgres.outbox.holder?.sessionKilled()
    case .slotDropped: if postgres.availability == .up { postgres.dropSlot() }
    case .queryFailed:
      for instance in world.instances { instance.source.queryBroke(.unavailable, "connection lost") }
    case .stuckCommit: world.workload.stuckFor = duration(40)
    case .republished:
      let table = random.pick([Table.users, .orders])
      postgres.publication.takeOut(table)
      world.after(duration(20)) { postgres.publication.putBack(table, at: self.world.now) }
    default: break
    }
  }

  private func startAgain() {
    let postgres = world.postgres
    world.after(duration(6)) { [self] in
      if postgres.availability == .shuttingDown { return startAgain() }
      postgres.start()
    }
  }

  private func redis(_ fault: Fault) {
    let redis = world.redis
    switch fault {
    case .redisBreak:
      for instance in world.instances {
        instance.redis.connection?.breakDown(silently: random.chance(200))
      }
    case .redisTrouble:
      redis.trouble(
        random.pick(ModelRedis.Trouble.allCases), perMille: random.pick([200, 1_000, 1_000]), for: duration(4)
      )
    case .redisFrozen: redis.frozenUntil = world.now + duration(20)
    case .redisRefused:
      redis.refusingUntil = world.now + duration(5)
      for instance in world.instances { instance.redis.connection?.breakDown(silently: false) }
    case .redisRestart: if redis.isUp { redis.restart(after: duration(3)) }
    case .redisRestore: if redis.isUp { redis.restore(after: duration(3)) }
    case .redisSwap: if redis.isUp { redis.swap() }
    case .redisEmpty: if redis.isUp { redis.restartEmpty(after: duration(3)) }
    case .flushAll: if redis.isUp { redis.flushAll() }
    case .flushAmbush: ambushed = random.chance(500) ? ["$4\r\nSCAN"] : ["$6\r\nUNLINK", "$3\r\nDEL"]
    case .evictWatermark: if redis.isUp, let key = world.oracle.watermarkKey { redis.evict(key) }
    case .evictLease: if redis.isUp, let lease = random.pick(redis.leases + [nil]) { redis.evict(lease) }
    case .evictKey: if redis.isUp, let key = random.pick(redis.data.order + [nil]) { redis.evict(key) }
    default: break
    }
  }

  /// Redis fails over, beneath the connection, when the batch that ends the flush is on its way.
  var failsOverAtFlushEnd = false

  /// An instance is about to send these bytes to Redis.
  func sending(_ bytes: [UInt8]) {
    if failsOverAtFlushEnd, String(decoding: bytes, as: UTF8.self).contains(" flush=-") {
      failsOverAtFlushEnd = false
      world.lastFault = world.now
      world.redis.swapToNewest()
    }
    guard ambushIsSet, let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return }
    let name = bytes[(end + 1)...]
    guard ambushed.contains(where: { name.starts(with: $0.utf8) }) else { return }
    ambushed = []
    let duration = random.between(200 * Time.millisecond, 4 * Time.second)
    world.trace { "redis: frozen for \(duration / Time.millisecond) ms, with a flush's command on its way" }
    world.lastFault = world.now
    world.redis.frozenUntil = max(world.redis.frozenUntil, world.now + duration)
    // Early, so that the flush begins again while the old command is still on its way.
    world.after(random.between(0, duration / 3)) { [self] in
      if !isOver { inject(random.chance(750) ? .walsenderKilled : .postgresRestart) }
    }
  }

  private func replica(_ fault: Fault) {
    guard !world.replicas.isEmpty else { return }
    let replica = random.pick(world.replicas)
    let duration = duration(40)
    world.lastReplicaFault = max(world.lastReplicaFault, world.now + duration)
    let end = world.now + duration
    switch fault {
    case .replicaStalled: replica.stalledUntil = max(replica.stalledUntil, end)
    case .replicaHidden: replica.hiddenUntil = max(replica.hiddenUntil, end)
    case .replicaFrozen: replica.frozenUntil = max(replica.frozenUntil, end)
    case .replicaElsewhere: replica.elsewhereUntil = max(replica.elsewhereUntil, end)
    case .replicaRestart: replica.restart(after: duration / 4)
    case .replicaCrash: replica.crash(after: duration / 4)
    default: break
    }
  }

  private func process(_ fault: Fault) {
    let instance = random.pick(world.instances)
    switch fault {
    case .kill:
      instance.kill()
      startAgain(instance)
    case .terminate:
      instance.stop()
      let run = instance.runs
      world.after(90 * Time.second) { if instance.runs == run { instance.kill() } }
      startAgain(instance)
    case .freeze: instance.freeze(for: duration(30))
    case .standby:
      if world.instances.count > 1 { world.instances[1 - instance.index].freeze(for: duration(30)) }
    case .clockJump: world.wallOffset = random.between(-3_600, 3_600) * 1_000_000
    default: break
    }
  }

  /// Starts the instance some time after its present run has ended.
  private func startAgain(_ instance: Instance) {
    let run = instance.runs
    world.after(duration(5)) { [self] in
      guard instance.runs == run, !leavesStopped else { return }
      instance.isRunning ? startAgain(instance) : instance.start()
    }
  }

  /// Mostly short, at most `seconds`.
  private func duration(_ seconds: Int64) -> Int64 {
    let longest = random.pick([seconds * Time.second / 20, seconds * Time.second / 4, seconds * Time.second])
    return random.between(10 * Time.millisecond, longest)
  }
}
