/// A client that fills by a plain SET, without a lease: what `redelete_after` is for.
final class PlainReader {
  unowned let world: World
  let index: Int
  private var random: Randomness
  private let keys: [String]
  private var isOver = false
  private(set) var isIdle = true

  init(world: World, index: Int) {
    self.world = world
    self.index = index
    self.random = Randomness(seed: world.seed ^ 0x91A1_4 ^ UInt64(index) << 32)
    self.keys = world.workload.readableKeys().filter {
      KeyMapping.redeleteDelay(of: $0, world.options.redeleteAfter) > 0
    }
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
    guard world.redis.isServing, world.redis.data.cached(key) == nil else { return pause() }
    world.after(random.between(50_000, 3_000_000)) { [self] in
      let server = world.replicas.isEmpty || random.chance(400) ? nil : random.pick(world.replicas)
      guard var snapshot = world.snapshot(on: server) else { return pause() }
      let limit = KeyMapping.redeleteDelay(of: key, world.options.redeleteAfter)
      let delay = delay(limit)
      snapshot.fill = delay < limit ? .plain : .late
      world.after(delay) { [self] in
        if world.redis.isServing {
          world.trace { "plain reader \(index): SET \(key) from \(snapshot), after \(delay) of \(limit) ns" }
          world.redis.set(key, snapshot)
        }
        pause()
      }
    }
  }

  /// From snapshot to SET: often quick, often just in time, sometimes too late.
  private func delay(_ limit: Int64) -> Int64 {
    let roll = random.below(100)
    if roll < 50 { return min(limit - 1, random.between(50_000, 5_000_000)) }
    if roll < 90 { return random.between(limit * 3 / 4, limit - 1) }
    return random.between(limit, 3 * limit)
  }
}
