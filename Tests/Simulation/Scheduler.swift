/// Virtual time: what is due runs in order of time, then of insertion.
final class Scheduler {
  private struct Item {
    var time: Int64
    var sequence: UInt64
    var body: () -> Void
  }

  /// Nanoseconds since the world began.
  private(set) var now: Int64 = 0
  private(set) var executed = 0
  private var sequence: UInt64 = 0
  private var heap: [Item] = []

  func after(_ delay: Int64, _ body: @escaping () -> Void) { at(now + max(0, delay), body) }

  func at(_ time: Int64, _ body: @escaping () -> Void) {
    sequence += 1
    heap.append(Item(time: max(now, time), sequence: sequence, body: body))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard precedes(child, parent) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// Runs the next item; false when nothing is left before `limit`.
  func step(until limit: Int64) -> Bool {
    guard let first = heap.first, first.time <= limit else {
      now = max(now, limit)
      return false
    }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    now = first.time
    executed += 1
    first.body()
    return true
  }

  /// Drops everything: the items hold the world, and the world holds them.
  func clear() { heap = [] }

  private func sink() {
    var parent = 0
    while true {
      var least = parent
      let left = 2 * parent + 1
      if left < heap.count, precedes(left, least) { least = left }
      if left + 1 < heap.count, precedes(left + 1, least) { least = left + 1 }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }

  private func precedes(_ left: Int, _ right: Int) -> Bool {
    let (one, other) = (heap[left].time, heap[right].time)
    return one != other ? one < other : heap[left].sequence < heap[right].sequence
  }
}
