/// A client that reads through the cache with the lease protocol of contract 2, a step at a time.
final class Reader {
  unowned let world: World
  let index: Int
  private var random: Randomness
  /// Chooses the server, apart from the rest.
  private var choice: Randomness
  private let keys: [String]
  private var isOver = false
  private(set) var isIdle = true
  private(set) var hits = 0
  private(set) var fills = 0

  init(world: World, index: Int) {
    self.world = world
    self.index = index
    self.random = world.random.split()
    self.choice = Randomness(seed: world.seed ^ 0xC401_CE ^ UInt64(index) << 32)
    self.keys = world.workload.readableKeys()
  }

  func start() { pause() }
  func end() { isOver = true }

  private func pause() {
    isIdle = true
    world.after(random.between(10_000, world.options.readPause)) { [self] in
      guard !isOver else { return }
      isIdle = false
      read(random.pick(keys))
    }
  }

  private func read(_ key: String) {
    let token = random.next()
    let lease = random.pick([200, 2_000, 30_000]) * Time.millisecond
    switch world.redis.get(key, token: token, lease: lease) {
    case .lease:
      world.trace { "reader \(index): lease on \(key)" }
      // One in thirty dies with its lease.
      guard !random.chance(30) else { return pause() }
      world.after(step()) { [self] in query(key, token) }
    case .hit:
      hits += 1
      pause()
    case .wait, nil: pause()
    }
  }

  private func query(_ key: String, _ token: UInt64) {
    let server = world.replicas.isEmpty || choice.chance(400) ? nil : choice.pick(world.replicas)
    guard let snapshot = world.snapshot(on: server) else { return pause() }
    world.after(step()) { [self] in
      if world.redis.fill(key, token: token, snapshot: snapshot) {
        fills += 1
        world.trace { "reader \(index): fills \(key) from \(snapshot)" }
      }
      pause()
    }
  }

  private func step() -> Int64 {
    let roll = random.below(1_000)
    if roll < 800 { return random.between(50_000, 3_000_000) }
    if roll < 980 { return random.between(3_000_000, 100_000_000) }
    return random.between(100_000_000, 5_000_000_000)
  }
}
