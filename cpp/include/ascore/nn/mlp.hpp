/// ReLU networks on blocks of rows: forward, and the gradient of their parameters.
#pragma once

#include "ascore/nn/gemm.hpp"
#include "ascore/nn/job.hpp"

namespace ascore::nn {
inline namespace ASCORE_NN_ISA {

/// Rows of a block whose gradient is added to a place of its own.
struct Portion {
  int first, rows;
  float* gradient;
};

/// Where things lie in the buffers of one network; widths are padded so that no vector is cut.
class Plan {
 public:
  explicit Plan(const Layers& layers) : layers_(layers) {}

  int depth() const { return layers_.count; }
  int in(int l) const { return layers_.sizes[l]; }
  int out(int l) const { return layers_.sizes[l + 1]; }
  /// Numbers between two rows of what layer l reads; what it writes is row(l + 1).
  int row(int l) const {
    const int a = padded(layers_.sizes[l], kLanes), b = padded(layers_.sizes[l], kTileRows);
    return a > b ? padded(a, kLanes) : padded(b, kLanes);
  }
  int width(int l) const { return padded(out(l), kLanes); }

  // Packed parameters: for each layer the bias, the weights, and, for gradients, from layer 1 on
  // their transpose.
  bool turned(int l) const { return l > 0 && !layers_.forward_only; }
  std::ptrdiff_t packed_layer(int l) const {
    const std::ptrdiff_t forward = width(l) + std::ptrdiff_t{in(l)} * width(l);
    return forward + (turned(l) ? std::ptrdiff_t{out(l)} * padded(in(l), kLanes) : 0);
  }
  std::ptrdiff_t packed_size() const {
    std::ptrdiff_t total = 0;
    for (int l = 0; l < depth(); ++l) total += packed_layer(l);
    return total;
  }

  // Gradients: for each layer the bias, then the weights, a few rows longer than the layer.
  std::ptrdiff_t gradient_layer(int l) const {
    return width(l) + std::ptrdiff_t{padded(in(l), kTileRows)} * width(l);
  }
  std::ptrdiff_t gradient_size() const {
    std::ptrdiff_t total = 0;
    for (int l = 0; l < depth(); ++l) total += gradient_layer(l);
    return total;
  }

  /// Outputs of all layers of one block.
  std::ptrdiff_t activations_size() const {
    std::ptrdiff_t total = 0;
    for (int l = 0; l < depth(); ++l) total += std::ptrdiff_t{kBlock} * row(l + 1);
    return total;
  }
  std::ptrdiff_t activation(int l) const {  // output of layer l
    std::ptrdiff_t at = 0;
    for (int k = 0; k < l; ++k) at += std::ptrdiff_t{kBlock} * row(k + 1);
    return at;
  }

  /// Packs a row of the flat parameter buffer: per layer weight [in, out], then bias [out].
  void pack_network(const float* flat, float* to) const {
    for (int l = 0; l < depth(); ++l) {
      const float* weight = flat;
      const float* bias = flat + std::ptrdiff_t{in(l)} * out(l);
      for (int j = 0; j < width(l); ++j) *to++ = j < out(l) ? bias[j] : 0.0f;
      pack(weight, in(l), out(l), out(l), 1, to);
      to += std::ptrdiff_t{in(l)} * width(l);
      if (turned(l)) {
        pack(weight, out(l), in(l), 1, out(l), to);
        to += std::ptrdiff_t{out(l)} * padded(in(l), kLanes);
      }
      flat = bias + out(l);
    }
  }

  /// Fills the activations of a block; the last layer's are the outputs. The inputs are x, or where
  /// there are few of them, the entries that are not 0.
  void forward(const float* packed, const float* x, const Nonzeros* few, int rows,
               float* activations) const {
    const float* input = x;
    for (int l = 0; l < depth(); ++l) {
      const float* bias = packed;
      const float* weights = packed + width(l);
      float* output = activations + activation(l);
      const Finish finish{.bias = bias, .relu = l + 1 < depth()};
      if (l == 0 && few != nullptr) {
        multiply_sparse(*few, rows, in(l), weights, width(l), output, row(l + 1), finish);
      } else {
        multiply(input, row(l), rows, in(l), weights, out(l), output, row(l + 1), finish);
      }
      input = output;
      packed += packed_layer(l);
    }
  }

  /// `forward` of one row of inputs through each of `Nets` networks, one after the other in
  /// `packed`; what network n computes is row n of the activations.
  template <int Nets>
  void forward_row(const float* packed, const float* x, const Nonzeros* few,
                   float* activations) const {
    const std::ptrdiff_t apart = packed_size();
    const float* input = x;
    for (int l = 0; l < depth(); ++l) {
      const float* weights = packed + width(l);
      float* output = activations + activation(l);
      const bool relu = l + 1 < depth();
      if (l == 0 && few != nullptr) {
        for (int n = 0; n < Nets; ++n) {
          multiply_sparse(*few, 1, in(l), weights + n * apart, width(l), output + n * row(l + 1),
                          row(l + 1), Finish{.bias = packed + n * apart, .relu = relu});
        }
      } else {
        multiply_rows<Nets>(input, l > 0 ? row(l) : 0, in(l), weights, packed, apart, width(l),
                            relu, output, row(l + 1));
      }
      input = output;
      packed += packed_layer(l);
    }
  }

  /// Adds the gradient of a block to `gradient`. The last activations hold the gradient by the
  /// outputs and are, like the others, overwritten.
  void backward(const float* packed, const float* x, const Nonzeros* few, int rows,
                float* activations, float* gradient) const {
    const Portion all{0, rows, gradient};
    backward(packed, x, few, rows, activations, activations, &all, 1);
  }

  /// The same for portions of the rows. `slopes`, laid out as the activations, holds the gradient
  /// by the outputs where those have the outputs, and what is behind them is overwritten; it may be
  /// the activations themselves.
  void backward(const float* packed, const float* x, const Nonzeros* few, int rows,
                const float* activations, float* slopes, const Portion* portions, int count) const {
    const float* layer = packed + packed_size();
    std::ptrdiff_t to = gradient_size();
    float* slope = slopes + activation(depth() - 1);
    for (int l = depth() - 1; l >= 0; --l) {
      layer -= packed_layer(l);
      to -= gradient_layer(l);
      const float* input = l > 0 ? activations + activation(l - 1) : x;
      for (int p = 0; p < count; ++p) {
        const Portion& part = portions[p];
        const float* own = slope + std::ptrdiff_t{part.first} * row(l + 1);
        float* bias = part.gradient + to;
        add_rows(own, row(l + 1), part.rows, width(l), bias);
        if (l == 0 && few != nullptr) {
          outer_sparse(few->from(part.first), own, row(l + 1), width(l), part.rows, bias + width(l),
                       width(l));
        } else {
          outer(input + std::ptrdiff_t{part.first} * row(l), row(l), in(l), own, row(l + 1), out(l),
                part.rows, bias + width(l), width(l));
        }
      }
      if (l == 0) break;
      const float* turned = layer + width(l) + std::ptrdiff_t{in(l)} * width(l);
      // Where both are one, what was read is no longer needed: the slope takes its place, number by
      // number.
      float* place = slopes + activation(l - 1);
      multiply(slope, row(l + 1), rows, out(l), turned, in(l), place, row(l),
               Finish{.open = activations + activation(l - 1)});
      slope = place;
    }
  }

  /// Sum of squares of a gradient. What lies between its numbers does not count.
  double square_norm(const float* gradient) const {
    double lanes[8] = {};
    const auto add = [&lanes](const float* x, int count) {
      int k = 0;
      for (; k + 8 <= count; k += 8) {
        for (int j = 0; j < 8; ++j) {
          lanes[j] += static_cast<double>(x[k + j]) * static_cast<double>(x[k + j]);
        }
      }
      for (; k < count; ++k) lanes[0] += static_cast<double>(x[k]) * static_cast<double>(x[k]);
    };
    for (int l = 0; l < depth(); ++l) {
      add(gradient, out(l));
      const float* weight = gradient + width(l);
      if (out(l) == width(l)) {
        add(weight, in(l) * out(l));
      } else {
        for (int k = 0; k < in(l); ++k) add(weight + std::ptrdiff_t{k} * width(l), out(l));
      }
      gradient += gradient_layer(l);
    }
    double sum = 0.0;
    for (const double lane : lanes) sum += lane;
    return sum;
  }

  /// Gradient in the order of the flat buffer.
  template <class Number>
  void unpack_gradient(const Number* from, Number* flat) const {
    for (int l = 0; l < depth(); ++l) {
      const Number* bias = from;
      const Number* weight = from + width(l);
      for (int k = 0; k < in(l); ++k) {
        for (int j = 0; j < out(l); ++j) *flat++ = weight[std::ptrdiff_t{k} * width(l) + j];
      }
      for (int j = 0; j < out(l); ++j) *flat++ = bias[j];
      from += gradient_layer(l);
    }
  }

 private:
  Layers layers_;
};

}  // namespace ASCORE_NN_ISA
}  // namespace ascore::nn
