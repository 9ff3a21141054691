/// Rendered keys, one after the other in one allocation, each with the rule that gave it.
package struct KeyBuffer: Sendable, Equatable {
  package private(set) var bytes: [UInt8] = []
  /// The end of each key in `bytes`.
  package private(set) var ends: [Int] = []
  /// The index of the rule of each key.
  package private(set) var rules: [UInt32] = []

  package init() {}

  package var count: Int { ends.count }
  package var isEmpty: Bool { ends.isEmpty }
  /// What the buffer holds in memory, its bookkeeping included.
  package var byteCount: Int { bytes.count + ends.count * KeyBuffer.overhead }
  /// What a key costs besides its bytes.
  static let overhead = 12

  /// The range of the key in `bytes`.
  @inline(__always)
  package func range(_ index: Int) -> Range<Int> {
    (index == 0 ? 0 : ends[index - 1])..<ends[index]
  }

  /// The key as an array of its own.
  package subscript(_ index: Int) -> [UInt8] { Array(bytes[range(index)]) }

  package mutating func removeAll(keepingCapacity: Bool) {
    bytes.removeAll(keepingCapacity: keepingCapacity)
    ends.removeAll(keepingCapacity: keepingCapacity)
    rules.removeAll(keepingCapacity: keepingCapacity)
  }

  /// Appends a key of another buffer.
  mutating func append(_ other: borrowing KeyBuffer, _ index: Int) {
    append(other, index, rule: other.rules[index])
  }

  /// Appends every key of another buffer.
  mutating func append(_ other: borrowing KeyBuffer) {
    let offset = bytes.count
    bytes.append(contentsOf: other.bytes)
    for end in other.ends { ends.append(offset + end) }
    rules.append(contentsOf: other.rules)
  }

  /// Appends a key of another buffer for another rule, or the first bytes of it.
  mutating func append(_ other: borrowing KeyBuffer, _ index: Int, rule: UInt32, upTo limit: Int = .max) {
    bytes.append(contentsOf: other.bytes[other.range(index).prefix(limit)])
    close(rule: rule)
  }

  // MARK: Writing one key

  /// The length of the key that is being written.
  @inline(__always)
  var openByteCount: Int { bytes.count - (ends.last ?? 0) }

  /// The key that is being written.
  @inline(__always)
  var openBytes: Span<UInt8> {
    @_lifetime(borrow self) get { bytes.span.extracting((ends.last ?? 0)..<bytes.count) }
  }

  @inline(__always)
  mutating func write(_ text: [UInt8], _ range: Range<Int>) { write(text.span.extracting(range)) }

  mutating func write(_ text: [UInt8]) { write(text.span) }

  @inline(__always)
  mutating func write(_ text: Span<UInt8>) {
    unsafe text.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
  }

  @inline(__always)
  mutating func close(rule: UInt32) {
    ends.append(bytes.count)
    rules.append(rule)
  }

  /// Forgets what was written since the last `close`.
  mutating func abandon() { bytes.removeSubrange((ends.last ?? 0)...) }

  /// Forgets the last key when it equals the one before it.
  mutating func dropLastIfRepeated() {
    guard count >= 2 else { return }
    let last = range(count - 1)
    let previous = range(count - 2)
    guard last.count == previous.count, rules[count - 1] == rules[count - 2] else { return }
    for index in 0..<last.count where bytes[last.lowerBound + index] != bytes[previous.lowerBound + index] {
      return
    }
    bytes.removeSubrange(last)
    ends.removeLast()
    rules.removeLast()
  }
}
