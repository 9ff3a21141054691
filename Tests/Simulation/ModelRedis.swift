/// Redis as its clients see it: one server that can freeze, refuse, restart and forget.
final class ModelRedis {
  /// Error replies for a while.
  enum Trouble: String, CaseIterable {
    case readonly, loading, oom, masterdown, tryagain, clusterdown, busy, noauth
  }

  unowned let world: World
  var data = RedisData()
  /// Counts the histories: it moves whenever the data becomes another than what clients saw.
  private(set) var lineage = 0
  private(set) var incarnation = 0
  private(set) var isUp = true
  var frozenUntil: Int64 = 0
  var refusingUntil: Int64 = 0
  private(set) var trouble: Trouble?
  private(set) var troublePerMille = 0
  private(set) var runIdentifier = ""
  private(set) var replicationIdentifier = ""
  /// Older states of the whole data, newest last.
  private var snapshots: [(time: Int64, data: RedisData)] = []
  private var random: Randomness

  init(world: World) {
    self.world = world
    self.random = world.random.split()
    renewIdentifiers()
    for key in Schema.bystanders { data.set(key, .text(Array("mine".utf8))) }
  }

  var isServing: Bool { isUp && frozenUntil <= world.now && trouble == nil }

  func roll(_ perMille: Int) -> Bool { random.chance(perMille) }
  func rollTrouble() -> Trouble? { random.chance(troublePerMille) ? trouble : nil }

  private func renewIdentifiers() {
    runIdentifier = ModelRedis.hexadecimal(&random)
    replicationIdentifier = ModelRedis.hexadecimal(&random)
  }

  private static func hexadecimal(_ random: inout Randomness) -> String {
    String(random.next(), radix: 16) + String(random.next(), radix: 16)
  }

  // MARK: Faults

  func trouble(_ trouble: Trouble, perMille: Int, for duration: Int64) {
    world.trace { "redis: answers \(trouble) to \(perMille) of 1000 for \(duration / Time.millisecond) ms" }
    self.trouble = trouble
    troublePerMille = perMille
    world.after(duration) { [self] in
      if self.trouble == trouble { self.trouble = nil }
    }
  }

  func remember() {
    snapshots.append((world.now, data))
    if snapshots.count > 6 { snapshots.remove(at: 1 + random.below(5)) }
  }

  func forgetStates() { snapshots = [] }

  /// Stops and starts with the data as it is.
  func restart(after delay: Int64) {
    world.trace { "redis: restarts with its data" }
    stop()
    world.after(delay) { [self] in
      if random.chance(700) { replicationIdentifier = ModelRedis.hexadecimal(&random) }
      isUp = true
    }
  }

  /// Comes back with an older state: a failover to a lagging replica, or an old RDB file.
  func restore(after delay: Int64, toOldest: Bool = false) {
    guard !snapshots.isEmpty else { return }
    stop()
    goBack(to: toOldest ? 0 : random.below(snapshots.count))
    world.after(delay) { [self] in
      renewIdentifiers()
      isUp = true
    }
  }

  /// The same behind a proxy that keeps its clients' connections.
  func swap() {
    guard !snapshots.isEmpty else { return }
    goBack(to: random.below(snapshots.count))
    renewIdentifiers()
    for instance in world.instances where random.chance(500) {
      guard let connection = instance.redis.connection else { continue }
      world.after(random.between(0, 3 * Time.second)) { connection.breakDown(silently: false) }
    }
  }

  /// A failover to the newest state that was saved, beneath connections that stand, as behind a proxy.
  func swapToNewest() {
    guard !snapshots.isEmpty else { return }
    goBack(to: snapshots.count - 1)
    renewIdentifiers()
  }

  private func goBack(to index: Int) {
    let chosen = snapshots[index]
    world.trace {
      "redis: goes back to its state of \((self.world.now - chosen.time) / Time.millisecond) ms ago"
    }
    snapshots.removeAll { $0.time > chosen.time }
    let watermark = world.oracle.watermarkKey.flatMap { key in data[key].map { (key, $0) } }
    let before = lineage
    data = chosen.data
    if world.options.mutation == .watermarkElsewhere, let (key, value) = watermark { data.set(key, value) }
    lineage += 1
    world.oracle.lineageBroke()
    // The same watermark stands for the same deletes: there is nothing to notice, unless a flush is under way, whose
    // deletes no watermark tells of.
    guard let (key, value) = watermark, data[key] == value, case .text(let text) = value,
      String(decoding: text, as: UTF8.self).hasSuffix("flush=-")
    else { return }
    for instance in world.instances { instance.redis.judgementHolds(from: before, to: lineage) }
  }

  func restartEmpty(after delay: Int64) {
    world.trace { "redis: restarts empty" }
    stop()
    snapshots = []
    data.removeAll(at: world.nextTick(), time: world.now)
    lineage += 1
    world.oracle.lineageBroke()
    world.after(delay) { [self] in
      renewIdentifiers()
      isUp = true
    }
  }

  func flushAll() {
    world.trace { "redis: FLUSHALL" }
    data.removeAll(at: world.nextTick(), time: world.now)
  }

  /// The keys of all leases that are out.
  var leases: [String?] {
    data.order.filter { key in key.map { KeyMapping.leased($0) != nil } ?? false }
  }

  func evict(_ key: String) {
    guard data.remove(key) else { return }
    world.trace { "redis: evicts \(key)" }
  }

  private func stop() {
    isUp = false
    incarnation += 1
    renewRun()
    for instance in world.instances { instance.redis.connection?.serverGone() }
  }

  private func renewRun() { runIdentifier = ModelRedis.hexadecimal(&random) }

  // MARK: Readers: atomic scripts of contract 2

  enum Get { case hit(Snapshot), lease, wait }

  func get(_ key: String, token: UInt64, lease: Int64) -> Get? {
    guard isServing else { return nil }
    if let snapshot = data.cached(key) { return .hit(snapshot) }
    if data.lease(key, now: world.now) != nil { return .wait }
    data.set(
      KeyMapping.lease(key),
      .lease(token: token, granted: world.nextTick(), expires: world.now + lease))
    return .lease
  }

  func fill(_ key: String, token: UInt64, snapshot: Snapshot) -> Bool {
    guard isServing, let lease = data.lease(key, now: world.now), lease.token == token else { return false }
    data.set(key, .cached(snapshot))
    data.remove(KeyMapping.lease(key))
    world.oracle.filled(key, snapshot)
    return true
  }

  /// A plain SET.
  func set(_ key: String, _ snapshot: Snapshot) {
    data.set(key, .cached(snapshot))
    world.oracle.filled(key, snapshot)
  }
}
