/// Checks of NumPy arguments: the wrong dtype, shape or layout is an error, never a silent copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace ascore::python {

namespace py = pybind11;

inline std::string shape_text(const py::ssize_t* shape, std::size_t rank) {
  std::string text = "(";
  for (std::size_t d = 0; d < rank; ++d) {
    if (d > 0) text += ", ";
    text += std::to_string(shape[d]);
  }
  return text + (rank == 1 ? ",)" : ")");
}

inline std::string type_text(py::handle object) {
  return py::cast<std::string>(py::type::of(object).attr("__name__"));
}

/// The array behind `object`. TypeError unless it is an ndarray of exactly this dtype; ValueError
/// unless it is C-contiguous and aligned (an array over a byte buffer need not be). A converted
/// copy is a remedy for an input; what is written into a copy of an output would be lost.
enum class Use { kInput, kOutput };

template <class T>
py::array require_array(const char* name, py::handle object, Use use = Use::kInput) {
  const auto wanted = [] { return py::cast<std::string>(py::str(py::dtype::of<T>())); };
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(std::string(name) + " is a " + type_text(object) + ", want a numpy " +
                         wanted() + " array");
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  if (!py::isinstance<py::array_t<T>>(object)) {
    throw py::type_error(std::string(name) + " has dtype " +
                         py::cast<std::string>(py::str(array.dtype())) + ", want " + wanted() +
                         (use == Use::kInput
                              ? "; use " + (name + (".astype(numpy." + wanted() + ")"))
                              : "; allocate it with that dtype"));
  }
  if ((array.flags() & py::array::c_style) == 0) {
    throw py::value_error(std::string(name) + " of shape " +
                          shape_text(array.shape(), static_cast<std::size_t>(array.ndim())) +
                          " and strides " +
                          shape_text(array.strides(), static_cast<std::size_t>(array.ndim())) +
                          " is not C-contiguous; use numpy.ascontiguousarray(" + name + ")");
  }
  if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0) {
    throw py::value_error(std::string(name) + " is not aligned in memory; use " + name + ".copy()");
  }
  return array;
}

/// ValueError, naming both, unless the array has this shape.
inline void require_shape(const char* name, const py::array& array,
                          std::initializer_list<std::size_t> wanted) {
  bool same = static_cast<std::size_t>(array.ndim()) == wanted.size();
  std::size_t d = 0;
  for (const std::size_t extent : wanted) {
    same = same && static_cast<std::size_t>(array.shape(static_cast<py::ssize_t>(d++))) == extent;
  }
  if (same) return;
  const std::vector<py::ssize_t> shape(wanted.begin(), wanted.end());
  throw py::value_error(std::string(name) + " has shape " +
                        shape_text(array.shape(), static_cast<std::size_t>(array.ndim())) +
                        ", want " + shape_text(shape.data(), shape.size()));
}

template <class T>
std::span<const T> read(const py::array& array) {
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

/// ValueError if the array is read-only.
template <class T>
std::span<T> write(const char* name, py::array& array) {
  if (!array.writeable()) throw py::value_error(std::string(name) + " is read-only");
  return {static_cast<T*>(array.mutable_data()), static_cast<std::size_t>(array.size())};
}

}  // namespace ascore::python
